/* Internal: fa_measure. */

/* Value of rho_i at x; *outside is the distance of x to its domain. */
static double regularizer_value(const fa_problem *problem, int64_t i, const double *x, double *z, double *outside)
{
    const int64_t n = problem->dim;
    const int64_t like = fa_like(problem, i);
    *outside = 0.0;
    if (problem->regularizer_kind[like] == FA_L1) {
        const double *weight = fa_data(problem, i, problem->regularizer_data[like]);
        double value = 0.0;
        for (int64_t j = 0; j < n; ++j) value += weight[j] * fabs(x[j]);
        return value;
    }
    for (int64_t j = 0; j < n; ++j) z[j] = x[j]; /* an indicator's prox is the projection */
    fa_prox(problem, n, i, 1.0, z);
    for (int64_t j = 0; j < n; ++j) z[j] -= x[j];
    *outside = fa_norm(n, z);
    return 0.0;
}

/* g and J'theta; the distance of g_i to -K_i, and the same with every row divided by its norm; sum |theta_r g_r|. */
static void feasibility(const fa_problem *problem, int64_t i, const double *x, const double *theta, const fa_work *w,
                        double *g, double *out)
{
    const int64_t n = problem->dim, like = fa_like(problem, i);
    double sum = 0.0, distance = 0.0, complementarity = 0.0;
    for (int64_t b = problem->constraint_ptr[like]; b < problem->constraint_ptr[like + 1]; ++b) {
        const int64_t first = fa_first(problem, i, b), m = problem->constraint_rows[b];
        const double *data = fa_data(problem, i, problem->constraint_data[b]), *rows = w->J;
        const int32_t kind = problem->constraint_kind[b];
        const int affine = fa_is_affine(kind), equality = kind == FA_AFFINE_EQUALITY;
        double value = 0.0, square;
        if (affine)
            rows = data + 1 + 2 * m;
        else
            value = fa_quadratic(n, kind, data, 0, x, w->y, w->J, &square);
        for (int64_t r = 0; r < m; ++r, rows += n) {
            const double gr = affine ? fa_dot(n, rows, x) - data[1 + m + r] : value;
            const double over = equality ? fabs(gr) : (gr > 0.0 || gr != gr ? gr : 0.0);
            sum += over * over;
            if (over != 0.0) {
                const double length = fa_norm(n, rows); /* a row of zeros has no direction to go */
                distance = fa_larger(length > 0.0 ? over / length : over, distance);
            }
            complementarity += fabs(theta[first + r] * gr);
            g[first + r] = gr;
            fa_axpy(n, theta[first + r], rows, w->reaction);
        }
    }
    out[FA_VIOLATION] = sqrt(sum);
    out[FA_DISTANCE] = distance;
    out[FA_COMPLEMENTARITY] = complementarity;
}

static int measure(const fa_problem *problem, const double *x, int64_t stride, const double *theta, const double *force,
                   const double *prox_step, double *g, double *measures, double *work)
{
    const int64_t n = problem->dim;
    const fa_work w = fa_slice_work(n, work);
    for (int64_t i = 0; i < problem->n_agents; ++i) {
        const double *xi = x + i * stride, *push = force + i * n, t = prox_step[i];
        double *out = measures + i * FA_MEASURES, outside;

        fa_zero(n, w.v);
        out[FA_VALUE] = fa_objective_gradient(problem, n, i, 0, xi, w.v, w.y, 1);
        out[FA_GRADIENT] = fa_norm(n, w.v);
        out[FA_VALUE] += regularizer_value(problem, i, xi, w.z, &outside);

        fa_zero(n, w.reaction);
        feasibility(problem, i, xi, theta, &w, g, out);
        out[FA_VIOLATION] = fa_larger(out[FA_VIOLATION], outside);
        out[FA_DISTANCE] = fa_larger(out[FA_DISTANCE], outside);
        out[FA_REACTION] = fa_norm(n, w.reaction);
        out[FA_FORCE] = fa_norm(n, push);

        for (int64_t j = 0; j < n; ++j) {
            w.v[j] += w.reaction[j] + push[j];
            w.z[j] = xi[j] - t * w.v[j];
        }
        fa_prox(problem, n, i, t, w.z);
        for (int64_t j = 0; j < n; ++j) w.z[j] = (xi[j] - w.z[j]) / t;
        out[FA_STATIONARITY] = fa_norm(n, w.z);
    }
    return FA_OK;
}
