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

/* g, and reaction <- reaction + J'theta; the distance of g_i to -K_i, and the same with every row divided by its norm;
 * sum |theta_r g_r|. Returns <theta_i, L_gi>. */
static double feasibility(const fa_problem *problem, int64_t i, const double *x, const double *theta, const fa_work *w,
                          double *g, double *said)
{
    const int64_t n = problem->dim, like = fa_like(problem, i);
    double sum = 0.0, distance = 0.0, complementarity = 0.0, curvature = 0.0;
    for (int64_t b = problem->constraint_ptr[like]; b < problem->constraint_ptr[like + 1]; ++b) {
        const int64_t first = fa_first(problem, i, b), m = problem->constraint_rows[b];
        const double *data = fa_data(problem, i, problem->constraint_data[b]), *rows = w->J;
        const int32_t kind = problem->constraint_kind[b];
        const int affine = fa_is_affine(kind), equality = affine && kind != FA_AFFINE_INEQUALITY;
        double value = 0.0, square;
        if (affine) {
            rows = data + 1 + 2 * m;
        } else {
            value = fa_quadratic(n, kind, data, 0, x, w->y, w->J, &square);
            curvature += theta[first] * data[1];
        }
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
    said[FA_VIOLATION] = sqrt(sum);
    said[FA_DISTANCE] = distance;
    said[FA_COMPLEMENTARITY] = complementarity;
    return curvature;
}

/* What agent i says of x: its part of the totals, but for those of consensus, and |grad f_i|. `least`: its step's inverse
 * is that or more. */
static double measure_agent(const fa_problem *problem, const fa_network *network, int64_t i, double lipschitz, double least,
                            const double *x, const double *theta, const double *lambda, const fa_work *w, double *g,
                            double *said)
{
    const int64_t n = problem->dim;
    double outside, gradient, step;

    fa_zero(n, w->v);
    said[FA_VALUE] = fa_objective_gradient(problem, n, i, 0, x, w->v, w->y, 1);
    gradient = fa_norm(n, w->v);
    said[FA_VALUE] += regularizer_value(problem, i, x, w->z, &outside);

    fa_zero(n, w->reaction);
    step = 1.0 / fa_larger(lipschitz + feasibility(problem, i, x, theta, w, g, said), least);
    said[FA_MEAN_REACTION] = fa_norm(n, w->reaction);
    if (network) {
        fa_gather_column(network, n, i, lambda, w->J);
        fa_axpy(n, 1.0, w->J, w->reaction);
    }
    said[FA_VIOLATION] = fa_larger(said[FA_VIOLATION], outside);
    said[FA_DISTANCE] = fa_larger(said[FA_DISTANCE], outside);

    /* |x_i - prox_{t rho_i}(x_i - t [grad f_i + J_i' theta_i + (B' lambda)_i])| / t */
    for (int64_t j = 0; j < n; ++j) {
        w->v[j] += w->reaction[j];
        w->z[j] = x[j] - step * w->v[j];
    }
    fa_prox(problem, n, i, step, w->z);
    for (int64_t j = 0; j < n; ++j) w->z[j] = (x[j] - w->z[j]) / step;
    said[FA_STATIONARITY] = fa_norm(n, w->z);
    return gradient;
}

/* The mean of N points; sums of a few at a time, for the sake of rounding. */
static void mean_of(int64_t N, int64_t n, const double *x, int64_t stride, double *some, double *mean)
{
    enum { FEW = 256 };
    fa_zero(n, mean);
    for (int64_t first = 0; first < N; first += FEW) {
        const int64_t end = first + FEW < N ? first + FEW : N;
        fa_zero(n, some);
        for (int64_t i = first; i < end; ++i) fa_axpy(n, 1.0, x + i * stride, some);
        fa_axpy(n, 1.0, some, mean);
    }
    for (int64_t j = 0; j < n; ++j) mean[j] /= (double)N;
}

/* The one of this rank among positive numbers, which change places. Each round halves the range of logarithms. */
static double ranked(double *values, int64_t count, int64_t rank)
{
    for (;;) {
        double least = values[0], most = values[0], middle;
        int64_t low = 0;
        for (int64_t k = 1; k < count; ++k) {
            least = values[k] < least ? values[k] : least;
            most = values[k] > most ? values[k] : most;
        }
        if (!(least < most)) return least;
        middle = sqrt(least) * sqrt(most);
        if (!(middle >= least && middle < most)) middle = least;
        for (int64_t k = 0; k < count; ++k)
            if (values[k] <= middle) {
                const double value = values[k];
                values[k] = values[low];
                values[low++] = value;
            }
        if (rank < low) {
            count = low;
        } else {
            values += low;
            count -= low;
            rank -= low;
        }
    }
}

/* FA_TYPICAL_GRADIENT of these sizes, which change places. */
static double typical(double *sizes, int64_t count, double mean)
{
    double most = 0.0, quartile, median;
    int64_t last = -1;
    for (int64_t k = 0; k < count; ++k) {
        const double size = sizes[k];
        if (!(size > 0.0)) continue;
        most = fa_larger(size, most);
        sizes[k] = sizes[++last];
        sizes[last] = size;
    }
    if (last < 0 || most > DBL_MAX) return most;
    median = 0.5 * (ranked(sizes, last + 1, last / 2) + ranked(sizes, last + 1, (last + 1) / 2));
    quartile = fa_larger(ranked(sizes, last + 1, last / 4), mean);
    return fa_larger(median < quartile ? median : quartile, 1e-9 * most);
}

static int measure(const fa_problem *problem, const fa_network *network, const fa_scales *scales, const double *x,
                   int64_t stride, const double *theta, const double *lambda, double *g, double *gradients, double *distances,
                   double *sizes, double *mean, double *totals, double *work)
{
    static const int32_t largest[] = {FA_VIOLATION, FA_DISTANCE, FA_STATIONARITY};
    const int64_t N = problem->n_agents, n = problem->dim;
    const fa_work w = fa_slice_work(n, work);
    double least, said[FA_MEASURES];

    mean_of(N, n, x, stride, w.v, mean);
    for (int32_t k = 0; k < FA_MEASURES; ++k) totals[k] = 0.0;
    totals[FA_LENGTH] = fa_norm(n, mean);
    for (int64_t j = 0; j < n; ++j) w.y[j] = scales->units[j] * mean[j];
    totals[FA_UNITS_LENGTH] = fa_norm(n, w.y);
    least = scales->gradient / fa_larger(totals[FA_LENGTH], scales->length);
    for (int64_t i = 0; i < N; ++i) {
        const double *xi = x + i * stride;
        for (int64_t j = 0; j < n; ++j) w.y[j] = xi[j] - mean[j];
        totals[FA_APART] = fa_larger(fa_norm(n, w.y), totals[FA_APART]);
        for (int64_t j = 0; j < n; ++j) w.y[j] *= scales->units[j];
        totals[FA_UNITS_APART] = fa_larger(fa_norm(n, w.y), totals[FA_UNITS_APART]);
        gradients[i] = measure_agent(problem, network, i, scales->lipschitz[i], least, xi, theta, lambda, &w, g, said);
        sizes[i] = fa_larger(gradients[i], scales->sizes[i]);
        distances[i] = said[FA_DISTANCE];
        totals[FA_VALUE] += said[FA_VALUE];
        totals[FA_COMPLEMENTARITY] += said[FA_COMPLEMENTARITY];
        totals[FA_MEAN_REACTION] += said[FA_MEAN_REACTION];
        for (int32_t k = 0; k < 3; ++k) totals[largest[k]] = fa_larger(said[largest[k]], totals[largest[k]]);
    }
    totals[FA_TYPICAL_GRADIENT] = typical(sizes, N, scales->mean);
    totals[FA_MEAN_REACTION] /= (double)N;
    return FA_OK;
}
