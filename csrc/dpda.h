/* Internal: fa_dpda. */

static int dpda(const fa_problem *problem, const fa_network *network, const fa_dpda_steps *steps, int64_t iterations,
                const fa_dpda_state *state, double *work)
{
    const int64_t N = problem->n_agents, n = problem->dim;
    const fa_work w = fa_slice_work(n, work);
    for (int64_t iteration = 0; iteration < iterations; ++iteration) {
        double eta = 1.0, fastest = INFINITY;
        if (steps->mu > 0.0) { /* eta = 1 / sqrt(1 + mu min tau): steps grow in the dual and shrink in the primal */
            for (int64_t i = 0; i < N; ++i) fastest = steps->tau[i] < fastest ? steps->tau[i] : fastest;
            if (state->counters[0] > 0) {
                eta = 1.0 / sqrt(1.0 + steps->mu * fastest * *steps->scale);
                *steps->scale *= eta;
            }
        }
        const double extrapolate = state->counters[0] > 0 ? eta : 0.0;

        /* s_i <- s_i + gamma ((1 + eta) x_i - eta x_i_old) */
        const double gamma = steps->gamma / *steps->scale;
        for (int64_t k = 0; k < N * n; ++k)
            state->s[k] += gamma * (state->x[k] + extrapolate * (state->x[k] - state->x_old[k]));

        for (int64_t i = 0; i < N; ++i) {
            double *FA_RESTRICT x = state->x + i * n, *FA_RESTRICT x_old = state->x_old + i * n, *FA_RESTRICT z = w.z;
            const double tau = steps->tau[i] * *steps->scale, kappa = steps->kappa[i] / *steps->scale;

            /* theta_i <- proj(theta_i + kappa_i ((1 + eta) g_i - eta g_i_old)), in the ball |theta_i| <= bound_i */
            fa_zero(n, w.reaction);
            fa_dual_step(problem, n, i, 0, x, kappa, 0, extrapolate, 1.0, w.y, w.J, state->theta, state->g_old, w.reaction);
            const int64_t like = fa_like(problem, i);
            const int64_t b = problem->constraint_ptr[like], e = problem->constraint_ptr[like + 1];
            if (e > b) {
                double *theta = state->theta + fa_first(problem, i, b);
                const int64_t m = problem->constraint_first[e - 1] + problem->constraint_rows[e - 1]
                                  - problem->constraint_first[b];
                const double norm = fa_norm(m, theta);
                if (norm > steps->bound[i]) {
                    for (int64_t r = 0; r < m; ++r) theta[r] *= steps->bound[i] / norm;
                    for (int64_t j = 0; j < n; ++j) w.reaction[j] *= steps->bound[i] / norm;
                }
            }

            /* x_i <- prox(x_i - tau_i [grad f_i + J_i' theta_i + sum_j (s_i - s_j)]), strong convexity in the prox */
            fa_gather(n, network->row_ptr[i], network->row_ptr[i + 1], network->row_agent, network->row_value, state->s, w.v);
            fa_axpy(n, 1.0, w.reaction, w.v);
            fa_objective_gradient(problem, n, i, 0, x, w.v, w.y, 0);
            const double shrink = 1.0 / (1.0 + tau * steps->mu);
            for (int64_t j = 0; j < n; ++j) z[j] = (x[j] - tau * (w.v[j] - steps->mu * x[j])) * shrink;
            if (fa_not_finite(n, z)) return FA_NOT_FINITE;
            fa_prox(problem, n, i, tau * shrink, z);
            for (int64_t j = 0; j < n; ++j) {
                x_old[j] = x[j];
                x[j] = z[j];
                state->x_sum[i * n + j] += z[j];
            }
        }
        state->counters[0] += 1;
    }
    return FA_OK;
}
