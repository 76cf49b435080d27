/* What the compiler may use without being told more: SSE2 on x86-64, NEON on AArch64. */
#define FA_KERNELS fa_kernels_baseline
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
#include "kernels.h"
