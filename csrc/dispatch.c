/* The public functions: the kernels of the instruction set that was chosen. */
#include "dispatch.h"

static int32_t chosen = FA_SIMD_BEST;

static const fa_kernels *find(int32_t simd)
{
    switch (simd) {
    case FA_SIMD_BASELINE: return &fa_kernels_baseline;
#if FA_HAS_AVX2
    case FA_SIMD_AVX2: return __builtin_cpu_supports("avx2") ? &fa_kernels_avx2 : 0;
    case FA_SIMD_BEST: return __builtin_cpu_supports("avx2") ? &fa_kernels_avx2 : &fa_kernels_baseline;
#else
    case FA_SIMD_BEST: return &fa_kernels_baseline;
#endif
    default: return 0;
    }
}

int fa_choose_simd(int32_t simd)
{
    if (!find(simd)) return FA_NO_SIMD;
    chosen = simd;
    return FA_OK;
}

const char *fa_simd(void)
{
    return find(chosen)->name;
}

int fa_adapd(const fa_problem *problem, const fa_network *network, const fa_adapd_steps *steps, int64_t activations,
             const int32_t *agents, const fa_adapd_state *state, double *work)
{
    return find(chosen)->adapd(problem, network, steps, activations, agents, state, work);
}

int fa_adapd_share(const fa_problem *problem, const fa_network *network, const fa_adapd_steps *steps, const fa_share *share,
                   int64_t activations, const int32_t *agents, const fa_adapd_state *state, double *work)
{
    return find(chosen)->adapd_share(problem, network, steps, share, activations, agents, state, work);
}

int fa_dpda(const fa_problem *problem, const fa_network *network, const fa_dpda_steps *steps, int64_t iterations,
            const fa_dpda_state *state, double *work)
{
    return find(chosen)->dpda(problem, network, steps, iterations, state, work);
}

int fa_measure(const fa_problem *problem, const fa_network *network, const fa_scales *scales, const double *x,
               int64_t stride, const double *theta, const double *lambda_, double *g, double *gradients, double *distances,
               double *sizes, double *mean, double *totals, double *work)
{
    return find(chosen)->measure(problem, network, scales, x, stride, theta, lambda_, g, gradients, distances, sizes, mean,
                                 totals, work);
}

int fa_compare(const fa_memory *memory, const double *point, const double *image, const double *last, double *residual,
               double *lengths)
{
    return find(chosen)->compare(memory, point, image, last, residual, lengths);
}

int fa_remember(const fa_memory *memory, int64_t slot, int64_t used, double length, const double *residual,
                const double *last, const double *image, const double *last_image)
{
    return find(chosen)->remember(memory, slot, used, length, residual, last, image, last_image);
}

int fa_extrapolate(const fa_memory *memory, int64_t used, double norm, const double *residual, double *move, double *length)
{
    return find(chosen)->extrapolate(memory, used, norm, residual, move, length);
}

int64_t fa_work_size(const fa_problem *problem)
{
    return FA_WORKS * problem->dim;
}

const char *fa_strerror(int status)
{
    switch (status) {
    case FA_OK: return "no error";
    case FA_NOT_FINITE: return "an iterate is no longer finite";
    case FA_BAD_AGENT: return "an agent index is out of range";
    case FA_NO_SIMD: return "this instruction set was not compiled in or is not here";
    default: return "unknown status";
    }
}
