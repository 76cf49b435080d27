#include "terms.h"

static inline double norm(int64_t n, const double *x)
{
    return sqrt(fa_dot(n, x, x));
}

static inline double larger(double a, double b)
{
    return a > b || a != a ? a : b;
}

/* Value of rho_i at x; *outside is the distance of x to its domain. */
static double regularizer_value(const fa_problem *problem, int64_t i, const double *x, double *z, double *outside)
{
    const int64_t n = problem->dim;
    *outside = 0.0;
    if (problem->regularizer_kind[i] == FA_L1) {
        const double *weight = problem->data + problem->regularizer_data[i];
        double value = 0.0;
        for (int64_t j = 0; j < n; ++j) value += weight[j] * fabs(x[j]);
        return value;
    }
    for (int64_t j = 0; j < n; ++j) z[j] = x[j]; /* an indicator's prox is the projection */
    fa_prox(problem, i, 1.0, z);
    for (int64_t j = 0; j < n; ++j) z[j] -= x[j];
    *outside = norm(n, z);
    return 0.0;
}

/* Distance of g_i to -K_i, and the same with every row divided by its norm; |theta' g| with absolute values. */
static void feasibility(const fa_problem *problem, int64_t i, const double *theta, const double *g, const double *J,
                        double *violation, double *distance, double *complementarity)
{
    const int64_t n = problem->dim;
    double sum = 0.0;
    *distance = *complementarity = 0.0;
    for (int64_t b = problem->constraint_ptr[i], k = 0; b < problem->constraint_ptr[i + 1]; ++b, ++k) {
        const int64_t first = problem->constraint_first[b], m = problem->constraint_rows[b];
        const int32_t kind = problem->constraint_kind[b];
        const int affine = kind == FA_AFFINE_INEQUALITY || kind == FA_AFFINE_EQUALITY;
        const double *rows = affine ? problem->data + problem->constraint_data[b] + 1 + m : J + k * n;
        for (int64_t r = 0; r < m; ++r) {
            const double gr = g[first + r];
            const double over = kind == FA_AFFINE_EQUALITY ? fabs(gr) : (gr > 0.0 || gr != gr ? gr : 0.0);
            sum += over * over;
            if (over != 0.0) *distance = larger(over / norm(n, rows + r * n), *distance);
            *complementarity += fabs(theta[first + r] * gr);
        }
    }
    *violation = sqrt(sum);
}

int fa_measure(const fa_problem *problem, const double *x, int64_t stride, const double *theta, const double *force,
               const double *prox_step, double *g, double *measures, double *work)
{
    const int64_t n = problem->dim;
    const fa_work w = fa_slice_work(problem, work);
    for (int64_t i = 0; i < problem->n_agents; ++i) {
        const double *xi = x + i * stride, *push = force + i * n, t = prox_step[i];
        double *out = measures + i * FA_MEASURES, l = 0.0, outside;

        fa_zero(n, w.v);
        out[FA_VALUE] = fa_objective_gradient(problem, i, xi, w.v, w.y, 1);
        out[FA_GRADIENT] = norm(n, w.v);
        out[FA_VALUE] += regularizer_value(problem, i, xi, w.z, &outside);

        fa_zero(n, w.reaction);
        fa_constraint_probe(problem, i, xi, theta, w.g, w.J, w.y, &l);
        /* sigma = 0 leaves theta as it is: the cast gives nothing away */
        fa_dual_step(problem, i, xi, 0.0, 0.0, w.g, w.J, (double *)theta, g, w.reaction);
        feasibility(problem, i, theta, g, w.J, &out[FA_VIOLATION], &out[FA_DISTANCE], &out[FA_COMPLEMENTARITY]);
        out[FA_VIOLATION] = larger(out[FA_VIOLATION], outside);
        out[FA_DISTANCE] = larger(out[FA_DISTANCE], outside);
        out[FA_REACTION] = norm(n, w.reaction);
        out[FA_FORCE] = norm(n, push);

        for (int64_t j = 0; j < n; ++j) {
            w.v[j] += w.reaction[j] + push[j];
            w.z[j] = xi[j] - t * w.v[j];
        }
        fa_prox(problem, i, t, w.z);
        for (int64_t j = 0; j < n; ++j) w.z[j] = (xi[j] - w.z[j]) / t;
        out[FA_STATIONARITY] = norm(n, w.z);
    }
    return FA_OK;
}

int64_t fa_work_size(const fa_problem *problem)
{
    return 4 * problem->dim + problem->max_blocks * (1 + problem->dim);
}

const char *fa_strerror(int status)
{
    switch (status) {
    case FA_OK: return "no error";
    case FA_NOT_FINITE: return "an iterate is no longer finite";
    case FA_BAD_AGENT: return "an agent index is out of range";
    default: return "unknown status";
    }
}

const char *fa_simd(void)
{
#if defined(__AVX512F__)
    return "AVX-512";
#elif defined(__AVX2__)
    return "AVX2";
#elif defined(__ARM_NEON)
    return "NEON";
#else
    return "baseline";
#endif
}
