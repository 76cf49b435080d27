/* Internal: FA_LOOPS (kernels.h or workers.h), compiled for AVX2. */
#include "dispatch.h"

#if FA_HAS_AVX2
#include <float.h> /* before the target changes */
#include <immintrin.h>
#include <math.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2")
#endif

#define FA_WIDE
#define FA_KERNELS fa_kernels_avx2
#define FA_SHARE fa_adapd_share_avx2
#define FA_KERNELS_NAME "AVX2"
#include FA_LOOPS

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#else
typedef int fa_no_avx2; /* C wants something in every file */
#endif
