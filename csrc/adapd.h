/* Internal: the loops of AD-APD, for all agents or for those of one worker. */

/* In edge form with local momentum: by how many gamma_r s_r a multiplier moves, and how far ahead x_i sees it. */
typedef struct {
    double step, ahead;
} edge_reach;

FA_INLINE edge_reach reach_of(const fa_adapd_steps *steps)
{
    const edge_reach one = {steps->relaxation, 2.0}, several = {steps->local_reach, steps->local_reach + 2.0};
    return steps->local_steps > 1 ? several : one;
}

/* consensus_step in edge form for the rows of agent i whose other end wakes in another worker; those that the other end
 * updates stay. What others may write meanwhile is loaded, and what others may read is stored, as one number at a time. */
FA_INLINE double border_step(const fa_network *network, const fa_adapd_steps *steps, int64_t n, int64_t i,
                             const fa_adapd_state *state, const fa_share *share, double *FA_RESTRICT v)
{
    const edge_reach by = reach_of(steps);
    double spring = 0.0;
    const int64_t *stretch = share->ptr + 3 * i;
    const double *x = state->x + i * n;
    for (int64_t o = stretch[1]; o < stretch[3]; ++o) {
        const int64_t r = share->row[o], other = share->neighbour[o];
        const int own = o < stretch[2];
        const double *value = network->row_value + (network->same_values ? 0 : 2 * r), *x_other = state->x + other * n;
        const double B_ri = value[i > other], B_rj = value[i < other], gamma = steps->gamma[steps->same_gamma ? 0 : r];
        const double step = own ? by.step * gamma : 0.0, ahead = (own ? by.ahead : by.ahead - by.step) * gamma;
        double *lambda = state->lambda_ + r * n;
        spring += 2.0 * gamma * B_ri * B_ri;
        for (int64_t j = 0; j < n; ++j) {
            const double t = B_ri * x[j] + B_rj * fa_load(x_other + j), l = fa_load(lambda + j);
            if (own) fa_store(lambda + j, l + step * t);
            v[j] += B_ri * (l + ahead * t);
        }
    }
    return spring;
}

/* out <- sum_k value_k rows[index_k], of rows that others may write meanwhile. */
FA_INLINE void gather_shared(int64_t n, int64_t begin, int64_t end, const int32_t *index, const double *value,
                             const double *rows, double *FA_RESTRICT out)
{
    fa_zero(n, out);
    for (int64_t k = begin; k < end; ++k)
        for (int64_t j = 0; j < n; ++j) out[j] += value[k] * fa_load(rows + index[k] * n + j);
}

/* lambda_r <- lambda_r + rho gamma_r s^_r for the rows that agent i owns, and v <- sum_r B_ri lambda_r.
 *
 * local:  s^ = s_last + 2 (s - s_last) / rho, from where x would be without relaxation. In edge form no one but the agent that
 *         updates lambda_r needs it: what is kept is lambda_r - (2 - rho) gamma_r s_last, which moves by rho gamma_r s;
 *         with several local steps lambda_r moves by local_reach gamma_r s instead, and v sees 2 gamma_r s more
 * global: s^ = s + N B_rp (x_p - x_p before its last activation), p the previous agent
 *
 * Returns the slope of v in x_i while the multipliers rest: for the local steps after the first. */
FA_INLINE double consensus_step(const fa_problem *problem, const fa_network *network, const fa_adapd_steps *steps, int64_t n,
                                int64_t i, int64_t previous, const fa_adapd_state *state, const fa_share *share,
                                double *FA_RESTRICT s, double *FA_RESTRICT v)
{
    const int local = steps->momentum == FA_MOMENTUM_LOCAL;
    const double N = (double)problem->n_agents, rho = steps->relaxation, reach = 2.0 / rho;
    if (FA_LIKELY(local && network->is_edge_form)) {
        const int64_t *stretch = share ? share->ptr + 3 * i : network->owned_ptr + i;
        const int32_t *row = share ? share->row : network->owned_row;
        const int32_t *neighbour = share ? share->neighbour : network->neighbour;
        const double *FA_RESTRICT x = state->x + i * n;
        const edge_reach by = reach_of(steps);
        double spring = 0.0;
        fa_zero(n, v);
        if (FA_LIKELY(network->same_values && steps->same_gamma)) {
            /* as by default: B_ri = -B_rj = 1 or -1, to be had without a branch that no one could predict */
            const double gamma = steps->gamma[0], step = by.step * gamma, ahead = by.ahead * gamma;
            const int64_t begin = stretch[0], end = stretch[1];
#pragma omp simd
            for (int64_t j = 0; j < n; ++j) s[j] = x[j]; /* as the compiler can see, no store to lambda changes it */
            for (int64_t o = begin; o < end; ++o) {
                const int64_t r = row[o], other = neighbour[o];
                const double B_ri = network->row_value[i > other], along = B_ri * step;
                const double *FA_RESTRICT x_other = state->x + other * n;
                double *FA_RESTRICT lambda = state->lambda_ + r * n;
#pragma omp simd
                for (int64_t j = 0; j < n; ++j) {
                    const double apart = s[j] - x_other[j], l = lambda[j];
                    lambda[j] = l + along * apart;
                    v[j] += B_ri * l + ahead * apart;
                }
            }
            spring = 2.0 * gamma * (double)(end - begin);
        } else {
            for (int64_t o = stretch[0]; o < stretch[1]; ++o) {
                const int64_t r = row[o], other = neighbour[o];
                const double *value = network->row_value + (network->same_values ? 0 : 2 * r);
                const double gamma = steps->gamma[steps->same_gamma ? 0 : r], step = by.step * gamma, ahead = by.ahead * gamma;
                const double B_ri = value[i > other], B_rj = value[i < other], *FA_RESTRICT x_other = state->x + other * n;
                double *FA_RESTRICT lambda = state->lambda_ + r * n;
                spring += 2.0 * gamma * B_ri * B_ri;
#pragma omp simd
                for (int64_t j = 0; j < n; ++j) {
                    const double t = B_ri * x[j] + B_rj * x_other[j], l = lambda[j];
                    lambda[j] = l + step * t;
                    v[j] += B_ri * (l + ahead * t);
                }
            }
        }
        return share ? spring + border_step(network, steps, n, i, state, share, v) : spring;
    }
    for (int64_t o = network->owned_ptr[i]; o < network->owned_ptr[i + 1]; ++o) {
        const int64_t r = network->owned_row[o], edge = network->is_edge_form, begin = edge ? 2 * r : network->row_ptr[r];
        const int64_t entries = edge ? 2 : network->row_ptr[r + 1] - begin;
        const int32_t *agent = network->row_agent + begin;
        const double *value = network->row_value + (network->same_values ? 0 : begin);
        const double gamma = rho * steps->gamma[steps->same_gamma ? 0 : r];
        double *FA_RESTRICT lambda = state->lambda_ + r * n, *FA_RESTRICT s_last = state->s_last + r * n;
        if (share) {
            gather_shared(n, 0, entries, agent, value, state->x, s);
            for (int64_t j = 0; j < n; ++j) {
                fa_store(lambda + j, lambda[j] + gamma * (s_last[j] + reach * (s[j] - s_last[j])));
                s_last[j] = s[j];
            }
            continue;
        }
        fa_gather(n, 0, entries, agent, value, state->x, s);
        if (local) {
            for (int64_t j = 0; j < n; ++j) {
                lambda[j] += gamma * (s_last[j] + reach * (s[j] - s_last[j]));
                s_last[j] = s[j];
            }
        } else {
            for (int64_t e = 0; e < entries; ++e)
                if (agent[e] == previous) fa_axpy(n, N * value[e], state->dx, s);
            fa_axpy(n, gamma, s, lambda);
        }
    }
    if (share)
        gather_shared(n, network->column_ptr[i], network->column_ptr[i + 1], network->column_row, network->column_value,
                      state->lambda_, v);
    else
        fa_gather_column(network, n, i, state->lambda_, v);
    return 0.0;
}

/* One activation of agent i, the k-th in all (k = 1, 2, ...). far: see look_ahead. */
FA_INLINE int activate(const fa_problem *problem, const fa_network *network, const fa_adapd_steps *steps, int64_t n,
                       int64_t k, int64_t i, int64_t previous, int far, const fa_adapd_state *state,
                       const fa_share *share, const fa_work *w)
{
    const int local = steps->momentum == FA_MOMENTUM_LOCAL;
    const double N = (double)problem->n_agents, rho = steps->relaxation;
    double *x = state->x + i * n, *FA_RESTRICT z = w->z, *FA_RESTRICT v = w->v, *FA_RESTRICT pull = w->pull;
    const double *at = x; /* where x_i is between local steps, of which nobody else knows */

    double spring = 0.0;
    for (int32_t step = 1;; ++step) {
        /* theta_i <- proj(theta_i + sigma_i g^);  v <- J_i' theta_i + grad f_i */
        const double c = local ? (step > 1 || state->wakes[i] > 0 ? 2.0 / rho - 1.0 : 0.0) : (previous == i ? N : 0.0);
        fa_zero(n, v);
        const double curvature = fa_dual_step(problem, n, i, far, at, steps->sigma[i], steps->adaptive, c, rho, w->y, w->J,
                                              state->theta, state->g_last, v);
        const double tau = steps->adaptive ? 1.0 / (steps->tau[i] + curvature) : steps->tau[i];
        fa_objective_gradient(problem, n, i, far, at, v, w->y, 0);

        /* pull <- sum_r B_ri lambda_r: it waits for nothing, so it comes last, while the sums and divisions above end */
        if (step == 1) spring = consensus_step(problem, network, steps, n, i, previous, state, share, w->y, pull);

        /* z = prox(x_i - tau_i [grad f_i + J_i' theta_i + sum_r B_ri lambda_r]), and rho times as far */
#pragma omp simd
        for (int64_t j = 0; j < n; ++j) z[j] = at[j] - tau * (v[j] + pull[j]);
        if (fa_not_finite(n, z)) return FA_NOT_FINITE;
        fa_prox(problem, n, i, tau, z);
        if (rho != 1.0) {
            const int sparse = problem->regularizer_kind[fa_like(problem, i)] == FA_L1; /* zeros stay zeros */
#pragma omp simd
            for (int64_t j = 0; j < n; ++j) z[j] = sparse && z[j] == 0.0 ? 0.0 : at[j] + rho * (z[j] - at[j]);
            if (!sparse) fa_prox(problem, n, i, tau, z); /* back into the set */
        }
        if (step >= steps->local_steps) break;
        /* on from z:  pull <- sum_r B_ri (lambda_r + 2 gamma_r s_r), where s_r has moved by B_ri (z - x_i) */
        for (int64_t j = 0; j < n; ++j) {
            pull[j] += spring * (z[j] - at[j]);
            w->at[j] = z[j];
        }
        at = w->at;
    }

    /* iterates since_i .. k-1 of agent i were x_i; iterate k is z */
    const double held = (double)(k - state->since[i]);
    double *FA_RESTRICT x_sum = state->x_sum + i * n, *FA_RESTRICT dx = state->dx;
    if (share) {
#pragma omp simd
        for (int64_t j = 0; j < n; ++j) x_sum[j] += held * x[j];
        for (int64_t j = 0; j < n; ++j) fa_store(x + j, z[j]);
    } else {
#pragma omp simd
        for (int64_t j = 0; j < n; ++j) {
            x_sum[j] += held * x[j];
            dx[j] = z[j] - x[j];
            x[j] = z[j];
        }
    }
    state->since[i] = k;
    state->wakes[i] += 1;
    return FA_OK;
}

/* The sequence is known: where not all fits into the second cache, memory is asked early for what agents[a + ...] will need,
 * first where its lists begin, then what is in them, then what they point to, the first FA_AHEAD numbers of a stretch. */
enum { LISTS = 9, ENTRIES = 7, ROWS = 4, COLUMNS = 3, NEIGHBOURS = 2 };

/* Numbers that fit into the second and the last cache: `far` says how many of these are too small. */
enum { SECOND_CACHE = 1 << 18, LAST_CACHE = 1 << 22 };

/* Of so many numbers, asked at once from beyond the last cache, some are lost: there each line is asked twice. */
enum { MANY = 128 };

FA_INLINE void fetch(int64_t n, int far, const double *p)
{
    const int64_t most = n < FA_AHEAD ? n : FA_AHEAD;
    if (far > 1 && n > MANY)
        for (int64_t j = 0; j < most; j += 4) FA_PREFETCH(p + j);
    else
        for (int64_t j = 0; j < most; j += 8) FA_PREFETCH(p + j);
    if (n > 0) FA_PREFETCH(p + n - 1);
}

/* The entries of one row or column, where they begin and where they end. */
FA_INLINE void fetch_entries(const int64_t *ptr, const int32_t *index, const double *value, int64_t k)
{
    const int64_t begin = ptr[k], end = ptr[k + 1];
    FA_PREFETCH(index + begin);
    for (int64_t e = begin; e < end; e += 8) FA_PREFETCH(value + e);
    if (end > begin) {
        FA_PREFETCH(index + end - 1);
        FA_PREFETCH(value + end - 1);
    }
}

FA_INLINE int64_t coming(const fa_problem *problem, const int32_t *agents, int64_t a, int64_t activations)
{
    return a < activations && agents[a] >= 0 && agents[a] < problem->n_agents ? agents[a] : -1;
}

FA_INLINE void look_ahead(const fa_problem *problem, const fa_network *network, const fa_adapd_steps *steps, int64_t n,
                          int64_t a, int64_t activations, const int32_t *agents, int far, const fa_adapd_state *state,
                          const fa_share *share)
{
    const int64_t edge = network->is_edge_form;
    const int64_t *ptr = share && edge ? share->ptr : network->owned_ptr, step = share && edge ? 3 : 1;
    const int32_t *row = share && edge ? share->row : network->owned_row;
    const int32_t *neighbour = share && edge ? share->neighbour : network->neighbour;
    int64_t i = coming(problem, agents, a + LISTS, activations);
    if (i >= 0) {
        FA_PREFETCH(ptr + step * i);
        FA_PREFETCH(ptr + step * (i + 1));
        if (!edge) {
            FA_PREFETCH(network->column_ptr + i);
            FA_PREFETCH(network->column_ptr + i + 1);
        }
        if (!problem->alike) {
            FA_PREFETCH(problem->objective_ptr + i);
            FA_PREFETCH(problem->constraint_ptr + i);
            FA_PREFETCH(problem->regularizer_kind + i);
        }
        FA_PREFETCH(steps->tau + i);
        FA_PREFETCH(steps->sigma + i);
        FA_PREFETCH(state->since + i);
        FA_PREFETCH(state->wakes + i);
    }
    i = coming(problem, agents, a + ENTRIES, activations);
    if (i >= 0) {
        FA_PREFETCH(row + ptr[step * i]);
        if (edge) FA_PREFETCH(neighbour + ptr[step * i]);
        FA_PREFETCH(row + ptr[step * (i + 1)] - 1); /* a list may begin in one line and end in the next */
        if (edge) FA_PREFETCH(neighbour + ptr[step * (i + 1)] - 1);
        if (!problem->alike) {
            const int64_t f = problem->objective_ptr[i], g = problem->constraint_ptr[i];
            FA_PREFETCH(problem->objective_kind + f);
            FA_PREFETCH(problem->objective_rows + f);
            FA_PREFETCH(problem->objective_data + f);
            if (g < problem->constraint_ptr[i + 1]) {
                FA_PREFETCH(problem->constraint_kind + g);
                FA_PREFETCH(problem->constraint_rows + g);
                FA_PREFETCH(problem->constraint_data + g);
                FA_PREFETCH(problem->constraint_first + g);
            }
            if (fa_regularizer_size(n, problem->regularizer_kind[i]) > 0) FA_PREFETCH(problem->regularizer_data + i);
        }
        fetch(n, far, state->x + i * n);
        fetch(n, far, state->x_sum + i * n);
        if (!edge) fetch_entries(network->column_ptr, network->column_row, network->column_value, i);
    }
    i = coming(problem, agents, a + ROWS, activations);
    if (i >= 0) {
        for (int64_t o = ptr[step * i]; o < ptr[step * (i + 1)]; ++o) {
            const int64_t r = row[o];
            if (!steps->same_gamma) FA_PREFETCH(steps->gamma + r);
            fetch(n, far, state->lambda_ + r * n);
            if (edge) {
                fetch(n, far, state->x + neighbour[o] * n);
                if (!network->same_values) FA_PREFETCH(network->row_value + 2 * r);
            } else {
                fetch(n, far, state->s_last + r * n);
                FA_PREFETCH(network->row_ptr + r);
            }
        }
    }
    i = edge ? -1 : coming(problem, agents, a + COLUMNS, activations);
    if (i >= 0) {
        for (int64_t o = network->owned_ptr[i]; o < network->owned_ptr[i + 1]; ++o)
            fetch_entries(network->row_ptr, network->row_agent, network->row_value, network->owned_row[o]);
        for (int64_t e = network->column_ptr[i]; e < network->column_ptr[i + 1]; ++e)
            fetch(n, far, state->lambda_ + network->column_row[e] * n);
    }
    i = coming(problem, agents, a + NEIGHBOURS, activations);
    if (i >= 0) {
        for (int64_t o = ptr[step * i]; !edge && o < ptr[step * (i + 1)]; ++o)
            for (int64_t e = network->row_ptr[row[o]]; e < network->row_ptr[row[o] + 1]; ++e)
                fetch(n, far, state->x + network->row_agent[e] * n);
        const int64_t like = fa_like(problem, i);
        for (int64_t b = problem->objective_ptr[like]; b < problem->objective_ptr[like + 1]; ++b)
            fetch(fa_objective_size(problem, n, b), far, fa_data(problem, i, problem->objective_data[b]));
        for (int64_t b = problem->constraint_ptr[like]; b < problem->constraint_ptr[like + 1]; ++b) {
            FA_PREFETCH(state->theta + fa_first(problem, i, b));
            FA_PREFETCH(state->g_last + fa_first(problem, i, b));
            fetch(fa_constraint_size(problem, n, b), far, fa_data(problem, i, problem->constraint_data[b]));
        }
        const int64_t size = fa_regularizer_size(n, problem->regularizer_kind[like]);
        if (size > 0) fetch(size, far, fa_data(problem, i, problem->regularizer_data[like]));
    }
}

enum { FA_LINE = 16 }; /* numbers from one worker's progress to the next: two cache lines */

/* Publish the progress of a worker; whether it must wait for another. */
FA_INLINE int is_ahead(const fa_share *share, double progress)
{
    fa_store(share->progress + FA_LINE * share->worker, progress);
    for (int64_t w = 0; w < share->n_workers; ++w)
        if (progress > fa_load(share->progress + FA_LINE * w) + share->lead) return 1;
    return 0;
}

FA_INLINE int wake_all(const fa_problem *problem, const fa_network *network, const fa_adapd_steps *steps, int64_t n,
                       int64_t activations, const int32_t *agents, const fa_adapd_state *state, const fa_share *share,
                       const fa_work *w)
{
    const int64_t size = 2 * n * (problem->n_agents + network->n_rows) + problem->values_begin;
    const int far = (size > SECOND_CACHE) + (size > LAST_CACHE);
    double own = 0.0; /* the share's progress before this call */
    int64_t look = 0, every = 0;
    if (share) {
        own = fa_load(share->progress + FA_LINE * share->worker);
        every = (int64_t)(share->lead / (8.0 * share->pace));
        every = every < 1 ? 1 : every > 64 ? 64 : every;
    }
    for (int64_t a = 0; a < activations; ++a) {
        if (share && a == look) {
            look += every;
            if (is_ahead(share, own + share->pace * (double)a)) return FA_OK;
        }
        const int64_t i = agents[a];
        if (i < 0 || i >= problem->n_agents) return FA_BAD_AGENT;
        if (far) look_ahead(problem, network, steps, n, a, activations, agents, far, state, share);
        const int64_t k = state->counters[0] + (share ? (int64_t)(own + share->pace * (double)(a + 1)) : 1);
        const int status = activate(problem, network, steps, n, k, i, share ? -1 : state->counters[1], far, state, share, w);
        if (status != FA_OK) return status;
        if (share) {
            state->counters[1] = a + 1;
        } else {
            state->counters[0] = k;
            state->counters[1] = i;
        }
    }
    return FA_OK;
}

/* With n as a literal, and vectors of its own that can stay in registers. */
#define UNROLLED(n)                                                                                        \
    do {                                                                                                   \
        double v[n], y[n], z[n], J[n], pull[n], at[n];                                                     \
        const fa_work own = {v, w.reaction, y, z, J, pull, at};                                            \
        return wake_all(&p, &g, &c, n, activations, agents, &t, share, &own);                              \
    } while (0)

FA_INLINE int wake_all_unrolled(const fa_problem *problem, const fa_network *network, const fa_adapd_steps *steps,
                                int64_t activations, const int32_t *agents, const fa_adapd_state *state,
                                const fa_share *share, double *work)
{
    const fa_work w = fa_slice_work(problem->dim, work);
    /* copies that no store of a double can reach, so that what is computed from them stays computed */
    const fa_problem p = *problem;
    const fa_network g = *network;
    const fa_adapd_steps c = *steps;
    const fa_adapd_state t = *state;
    switch (problem->dim) { /* loops of few coordinates cost more than what is in them, unless unrolled */
    case 2: UNROLLED(2);
#ifndef FA_FEW_SIZES /* defined for builds that must not take long */
    case 1: UNROLLED(1);
    case 3: UNROLLED(3);
    case 4: UNROLLED(4);
    case 5: UNROLLED(5);
    case 6: UNROLLED(6);
    case 7: UNROLLED(7);
    case 8: UNROLLED(8);
    case 9: UNROLLED(9);
    case 10: UNROLLED(10);
    case 20: UNROLLED(20);
#endif
    default: return wake_all(&p, &g, &c, p.dim, activations, agents, &t, share, &w);
    }
}

#undef UNROLLED
