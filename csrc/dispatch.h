/* Internal: one set of loops per instruction set. The loops are in vectors.h, terms.h, adapd.h, dpda.h, measure.h and anderson.h;
 * kernels.h and workers.h gather them, and each simd_*.c compiles one of these once more, as baseline.h or avx2.h says.
 * dispatch.c chooses at run time. */
#ifndef FASTADAPD_DISPATCH_H
#define FASTADAPD_DISPATCH_H

#include "fastadapd.h"

enum { FA_WORKS = 7 }; /* vectors of n numbers in the work array */

typedef int fa_share_loop(const fa_problem *, const fa_network *, const fa_adapd_steps *, const fa_share *, int64_t,
                          const int32_t *, const fa_adapd_state *, double *);

typedef struct {
    const char *name; /* as fa_simd() says it */
    int (*adapd)(const fa_problem *, const fa_network *, const fa_adapd_steps *, int64_t, const int32_t *,
                 const fa_adapd_state *, double *);
    fa_share_loop *adapd_share;
    int (*dpda)(const fa_problem *, const fa_network *, const fa_dpda_steps *, int64_t, const fa_dpda_state *, double *);
    int (*measure)(const fa_problem *, const fa_network *, const fa_scales *, const double *, int64_t, const double *,
                   const double *, double *, double *, double *, double *, double *, double *, double *);
    int (*compare)(const fa_memory *, const double *, const double *, const double *, double *, double *);
    int (*remember)(const fa_memory *, int64_t, int64_t, double, const double *, const double *, const double *,
                    const double *);
    int (*extrapolate)(const fa_memory *, int64_t, double, const double *, double *, double *);
} fa_kernels;

extern const fa_kernels fa_kernels_baseline;
extern fa_share_loop fa_adapd_share_baseline;

/* Where the compiler can compile functions for more than the baseline and ask the processor. AVX2 comes without FMA:
 * nothing may be contracted, so that all sets compute the same. */
#if (defined(__GNUC__) || defined(__clang__)) && defined(__x86_64__) && !defined(_MSC_VER) && !defined(__AVX2__)
#define FA_HAS_AVX2 1
extern const fa_kernels fa_kernels_avx2;
extern fa_share_loop fa_adapd_share_avx2;
#else
#define FA_HAS_AVX2 0
#endif

#endif
