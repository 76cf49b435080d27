/* Internal: FA_LOOPS (kernels.h or workers.h), compiled for what the compiler may use without being told more: SSE2 on
 * x86-64, NEON on AArch64. */
#include "dispatch.h"

#define FA_KERNELS fa_kernels_baseline
#define FA_SHARE fa_adapd_share_baseline
#ifdef __AVX__
#define FA_WIDE
#endif
#if defined(__AVX512F__)
#define FA_KERNELS_NAME "AVX-512"
#elif defined(__AVX2__)
#define FA_KERNELS_NAME "AVX2"
#elif defined(__ARM_NEON)
#define FA_KERNELS_NAME "NEON"
#else
#define FA_KERNELS_NAME "baseline"
#endif
#if FA_HAS_AVX2 && !defined(FA_FEW_SIZES) /* nearly all machines take the others */
#define FA_FEW_SIZES
#endif
#include FA_LOOPS
