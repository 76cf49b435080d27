/* Internal: fa_adapd. */

/* lambda_r <- lambda_r + rho gamma_r s^_r for the rows that agent i owns, and v <- sum_r B_ri lambda_r.
 *
 * local:  s^ = s_last + 2 (s - s_last) / rho, from where x would be without relaxation
 * global: s^ = s + N B_rp (x_p - x_p before its last activation), p the previous agent */
static void consensus_step(const fa_problem *problem, const fa_network *network, const fa_adapd_steps *steps, int64_t i,
                           int64_t previous, const fa_adapd_state *state, double *FA_RESTRICT s, double *FA_RESTRICT v)
{
    const int64_t n = problem->dim;
    const int local = steps->momentum == FA_MOMENTUM_LOCAL;
    const double N = (double)problem->n_agents, rho = steps->relaxation, reach = 2.0 / rho;
    fa_zero(n, v);
    for (int64_t o = network->owned_ptr[i]; o < network->owned_ptr[i + 1]; ++o) {
        const int64_t r = network->owned_row[o], begin = network->row_ptr[r], end = network->row_ptr[r + 1];
        const double gamma = rho * steps->gamma[r];
        double *FA_RESTRICT lambda = state->lambda_ + r * n, *FA_RESTRICT s_last = state->s_last + r * n;
        if (local && network->is_edge_form) { /* the same in one pass */
            const int32_t *agent = network->row_agent + begin;
            const double *value = network->row_value + begin;
            const double a = value[0], b = value[1], B_ri = agent[0] == i ? a : b;
            const double *xa = state->x + agent[0] * n, *xb = state->x + agent[1] * n;
            for (int64_t j = 0; j < n; ++j) {
                const double t = a * xa[j] + b * xb[j];
                lambda[j] += gamma * (s_last[j] + reach * (t - s_last[j]));
                s_last[j] = t;
                v[j] += B_ri * lambda[j];
            }
            continue;
        }
        fa_gather(n, begin, end, network->row_agent, network->row_value, state->x, s);
        if (local) {
            for (int64_t j = 0; j < n; ++j) {
                lambda[j] += gamma * (s_last[j] + reach * (s[j] - s_last[j]));
                s_last[j] = s[j];
            }
        } else {
            for (int64_t e = begin; e < end; ++e)
                if (network->row_agent[e] == previous) fa_axpy(n, N * network->row_value[e], state->dx, s);
            fa_axpy(n, gamma, s, lambda);
        }
    }
    if (!(local && network->is_edge_form))
        fa_gather(n, network->column_ptr[i], network->column_ptr[i + 1], network->column_row, network->column_value,
                  state->lambda_, v);
}

/* One activation of agent i, the k-th in all (k = 1, 2, ...). */
static int activate(const fa_problem *problem, const fa_network *network, const fa_adapd_steps *steps, int64_t k,
                    int64_t i, int64_t previous, const fa_adapd_state *state, const fa_work *w)
{
    const int64_t n = problem->dim, blocks = problem->constraint_ptr[i + 1] - problem->constraint_ptr[i];
    const int local = steps->momentum == FA_MOMENTUM_LOCAL;
    const double N = (double)problem->n_agents, rho = steps->relaxation;
    const double *x = state->x + i * n;
    double *FA_RESTRICT z = w->z, *FA_RESTRICT v = w->v;

    consensus_step(problem, network, steps, i, previous, state, w->y, v);

    /* theta_i <- proj(theta_i + sigma_i g^) */
    double l = problem->lipschitz[i];
    fa_zero(n, w->reaction);
    fa_constraint_probe(problem, n, i, x, state->theta, w->g, w->J, w->norm2, w->y, &l);
    const double tau = steps->adaptive ? 1.0 / (l + steps->tau[i]) : steps->tau[i];
    for (int64_t k = 0; k < blocks; ++k)
        w->sigma[k] = !steps->adaptive      ? steps->sigma[i]
                      : w->norm2[k] > 0.0 ? steps->sigma[i] / ((double)blocks * w->norm2[k])
                                            : 0.0;
    const double c = local ? (state->wakes[i] > 0 ? 2.0 / rho - 1.0 : 0.0) : (previous == i ? N : 0.0);
    fa_dual_step(problem, n, i, x, w->sigma, steps->adaptive, c, rho, w->g, w->J, state->theta, state->g_last, w->reaction);

    /* z = prox(x_i - tau_i [grad f_i + J_i' theta_i + sum_r B_ri lambda_r]), and rho times as far */
    fa_axpy(n, 1.0, w->reaction, v);
    fa_objective_gradient(problem, n, i, x, v, w->y, 0);
    for (int64_t j = 0; j < n; ++j) z[j] = x[j] - tau * v[j];
    if (fa_not_finite(n, z)) return FA_NOT_FINITE;
    fa_prox(problem, n, i, tau, z);
    if (rho != 1.0) {
        const int sparse = problem->regularizer_kind[i] == FA_L1; /* zeros stay zeros */
        for (int64_t j = 0; j < n; ++j) z[j] = sparse && z[j] == 0.0 ? 0.0 : x[j] + rho * (z[j] - x[j]);
        if (!sparse) fa_prox(problem, n, i, tau, z); /* back into the set */
    }

    /* iterates since_i .. k-1 of agent i were x_i; iterate k is z */
    {
        const double held = (double)(k - state->since[i]);
        double *FA_RESTRICT xi = state->x + i * n, *FA_RESTRICT x_sum = state->x_sum + i * n, *FA_RESTRICT dx = state->dx;
        for (int64_t j = 0; j < n; ++j) {
            x_sum[j] += held * xi[j];
            dx[j] = z[j] - xi[j];
            xi[j] = z[j];
        }
    }
    state->since[i] = k;
    state->wakes[i] += 1;
    return FA_OK;
}

static int adapd(const fa_problem *problem, const fa_network *network, const fa_adapd_steps *steps, int64_t activations,
                 const int32_t *agents, const fa_adapd_state *state, double *work)
{
    const fa_work w = fa_slice_work(problem, work);
    for (int64_t a = 0; a < activations; ++a) {
        const int64_t i = agents[a];
        if (i < 0 || i >= problem->n_agents) return FA_BAD_AGENT;
        const int status = activate(problem, network, steps, state->counters[0] + 1, i, state->counters[1], state, &w);
        if (status != FA_OK) return status;
        state->counters[0] += 1;
        state->counters[1] = i;
    }
    return FA_OK;
}
