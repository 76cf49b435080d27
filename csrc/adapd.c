#include "terms.h"

/* One activation of agent i, the k-th in all (k = 1, 2, ...). */
static int activate(const fa_problem *problem, const fa_network *network, const fa_adapd_steps *steps, int64_t k,
                    int64_t i, int64_t previous, const fa_adapd_state *state, const fa_work *w)
{
    const int64_t n = problem->dim;
    const int local = steps->momentum == FA_MOMENTUM_LOCAL;
    const double N = (double)problem->n_agents;
    double *FA_RESTRICT x = state->x + i * n, *FA_RESTRICT z = w->z, *FA_RESTRICT v = w->v, *FA_RESTRICT s = w->y;

    /* lambda_r <- lambda_r + gamma_r s^_r for the rows that i owns */
    for (int64_t o = network->owned_ptr[i]; o < network->owned_ptr[i + 1]; ++o) {
        const int64_t r = network->owned_row[o], begin = network->row_ptr[r], end = network->row_ptr[r + 1];
        const double gamma = steps->adaptive ? steps->weight * steps->gamma[r] : steps->gamma[r];
        double *FA_RESTRICT lambda = state->lambda_ + r * n;
        fa_gather(n, begin, end, network->row_agent, network->row_value, state->x, s);
        if (local) { /* s^ = 2 s - s_last */
            double *FA_RESTRICT s_last = state->s_last + r * n;
            for (int64_t j = 0; j < n; ++j) {
                lambda[j] += gamma * (2.0 * s[j] - s_last[j]);
                s_last[j] = s[j];
            }
        } else { /* s^ = s + N B_rp (x_p - x_p before its last activation) */
            for (int64_t e = begin; e < end; ++e)
                if (network->row_agent[e] == previous) fa_axpy(n, N * network->row_value[e], state->dx, s);
            fa_axpy(n, gamma, s, lambda);
        }
    }

    /* theta_i <- proj(theta_i + sigma_i g^) */
    double l = problem->lipschitz[i];
    fa_zero(n, w->reaction);
    const double norm2 = fa_constraint_probe(problem, i, x, state->theta, w->g, w->J, w->y, &l);
    double tau, sigma;
    if (steps->adaptive) {
        const double D = l + steps->weight * steps->pull[i];
        tau = 1.0 / ((1.0 + steps->kappa) * D);
        sigma = norm2 > 0.0 ? steps->kappa * D / norm2 : 0.0;
    } else {
        tau = steps->tau[i];
        sigma = steps->sigma[i];
    }
    const double c = local ? (state->wakes[i] > 0 ? 1.0 : 0.0) : (previous == i ? N : 0.0);
    fa_dual_step(problem, i, x, sigma, c, w->g, w->J, state->theta, state->g_last, w->reaction);

    /* z = prox(x_i - tau_i [grad f_i + J_i' theta_i + sum_r B_ri lambda_r]) */
    fa_gather(n, network->column_ptr[i], network->column_ptr[i + 1], network->column_row, network->column_value,
              state->lambda_, v);
    fa_axpy(n, 1.0, w->reaction, v);
    fa_objective_gradient(problem, i, x, v, w->y, 0);
    for (int64_t j = 0; j < n; ++j) z[j] = x[j] - tau * v[j];
    if (fa_not_finite(n, z)) return FA_NOT_FINITE;
    fa_prox(problem, i, tau, z);

    /* iterates since_i .. k-1 of agent i were x_i; iterate k is z */
    const double held = (double)(k - state->since[i]);
    double *FA_RESTRICT x_sum = state->x_sum + i * n, *FA_RESTRICT dx = state->dx;
    for (int64_t j = 0; j < n; ++j) {
        x_sum[j] += held * x[j];
        dx[j] = z[j] - x[j];
        x[j] = z[j];
    }
    state->since[i] = k;
    state->wakes[i] += 1;
    return FA_OK;
}

int fa_adapd(const fa_problem *problem, const fa_network *network, const fa_adapd_steps *steps, int64_t activations,
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
