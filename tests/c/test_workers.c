/* Two workers on one state: agents on a cycle with f_i = |x - b_i|^2 / 2 agree on the mean of the b_i, in both forms, once
 * with lists of every agent's terms, once with those of agent 0 only.
 *
 * Compiled with a thread sanitizer this shows that there are no data races. Returns 0 when all is well.
 */
#include <stdio.h>

#if defined(_WIN32)
int main(void)
{
    puts("skipped: no POSIX threads");
    return 0;
}
#else
#include <math.h>
#include <pthread.h>
#include <sched.h>

#include "fastadapd.h"

enum { N = 20, DIM = 5, WORKERS = 2, OWN = N / WORKERS, CHUNKS = 200, WAKES = 100 * OWN, LINE = 16 };

static double data[2 * DIM * N], x[N * DIM], x_sum[N * DIM], lambda[N * DIM], s[N * DIM], tau[N], gamma_[N];
static double row_value[3 * N], progress[LINE * WORKERS];
static int64_t cost_ptr[N + 1], cost_data[N], no_limits[N + 1], wakes[N], since[N], counters[WORKERS][LINE];
static int64_t owned_ptr[N + 1], row_ptr[N + 1], border_ptr[3 * N + 1];
static int32_t kind[N], one_row[N], zero[N], owned_row[2 * N], neighbour[2 * N], border_row[2 * N], border_end[2 * N];
static int32_t row_agent[3 * N];

static fa_problem problem = {
    .n_agents = N, .dim = DIM, .objective_ptr = cost_ptr, .objective_kind = kind, .objective_rows = one_row,
    .objective_data = cost_data, .constraint_ptr = no_limits, .regularizer_kind = zero, .regularizer_data = no_limits,
    .data = data,
};
static fa_network network = {
    .n_rows = N, .owned_ptr = owned_ptr, .owned_row = owned_row, .neighbour = neighbour, .row_ptr = row_ptr,
    .row_agent = row_agent, .row_value = row_value, .column_ptr = row_ptr, .column_row = row_agent, .column_value = row_value, /* symmetric */
};
static fa_adapd_steps steps = {.momentum = FA_MOMENTUM_LOCAL, .relaxation = 1, .tau = tau, .sigma = tau, .gamma = gamma_};

/* Row i of the edge form is x_i - x_{i+1}, the lower number first (without same_values; else all rows are lower less higher);
 * where the two have different workers, agent i updates it. */
static void edge_form(void)
{
    network.is_edge_form = 1, network.same_values = steps.same_gamma;
    for (int32_t i = 0; i < N; ++i) {
        const int32_t before = (i + N - 1) % N, first = i % OWN == 0, last = i % OWN == OWN - 1;
        const int32_t after = (i + 1) % N, turned = after < i;
        row_agent[2 * i] = turned ? after : i, row_agent[2 * i + 1] = turned ? i : after;
        row_value[2 * i] = turned && !network.same_values ? -1 : 1, row_value[2 * i + 1] = -row_value[2 * i];
        row_ptr[i + 1] = owned_ptr[i + 1] = 2 * (i + 1);
        owned_row[2 * i] = before, owned_row[2 * i + 1] = i;
        neighbour[2 * i] = before, neighbour[2 * i + 1] = after;
        border_row[2 * i] = first ? i : before, border_row[2 * i + 1] = first ? before : i;
        border_end[2 * i] = first ? after : before, border_end[2 * i + 1] = first ? before : after;
        border_ptr[3 * i + 1] = 2 * i + 2 - first - last;
        border_ptr[3 * i + 2] = 2 * i + 2 - first;
        border_ptr[3 * i + 3] = 2 * i + 2;
        tau[i] = 1.0 / 3, gamma_[i] = 0.5;
    }
}

/* Row i of the node form is 2 x_i - x_{i-1} - x_{i+1}. */
static void node_form(void)
{
    network.is_edge_form = network.same_values = 0;
    for (int32_t i = 0; i < N; ++i) {
        for (int32_t e = 0; e < 3; ++e) {
            row_agent[3 * i + e] = (i + N - 1 + e) % N;
            row_value[3 * i + e] = e == 1 ? 2 : -1;
        }
        row_ptr[i + 1] = 3 * (i + 1), owned_ptr[i + 1] = i + 1, owned_row[i] = i;
        tau[i] = 1.0 / 5, gamma_[i] = 0.25;
    }
}

static void *work(void *argument)
{
    const int64_t worker = *(const int64_t *)argument;
    const fa_share share = {WORKERS, worker, WORKERS, N / 4.0, progress, border_ptr, border_row, border_end};
    const fa_adapd_state state = {
        .counters = counters[worker], .wakes = wakes, .since = since, .x = x, .x_sum = x_sum, .lambda_ = lambda, .s_last = s,
    };
    double numbers[8 * DIM];
    if (fa_work_size(&problem) > 8 * DIM) return argument;
    int32_t agents[WAKES];
    for (int32_t a = 0; a < WAKES; ++a) agents[a] = (int32_t)worker * OWN + 7 * a % OWN; /* 7 and OWN have no common factor */
    for (int64_t done = 0; done < WAKES; done += counters[worker][1]) {
        if (done) sched_yield();
        if (fa_adapd_share(&problem, &network, &steps, &share, WAKES - done, agents + done, &state, numbers) != FA_OK)
            return argument;
    }
    return 0;
}

static int test(void (*form)(void), int alike)
{
    problem.alike = steps.same_gamma = alike, problem.own_size = alike ? 2 * DIM : 0;
    double mean[DIM] = {0};
    for (int i = 0; i < N; ++i) {
        cost_ptr[i + 1] = i + 1, cost_data[i] = 2 * DIM * i, kind[i] = FA_QUADRATIC + FA_DIAGONAL, one_row[i] = 1;
        wakes[i] = 0, since[i] = 1;
        for (int j = 0; j < DIM; ++j) {
            const double b = sin(3 * i + 5 * j);
            mean[j] += b / N;
            data[2 * DIM * i + j] = -b, data[2 * DIM * i + DIM + j] = 1;
            x[i * DIM + j] = x_sum[i * DIM + j] = lambda[i * DIM + j] = s[i * DIM + j] = 0;
        }
    }
    form();
    for (int64_t chunk = 0; chunk < CHUNKS; ++chunk) {
        pthread_t threads[WORKERS];
        int64_t names[WORKERS];
        for (int64_t w = 0; w < WORKERS; ++w) {
            names[w] = w;
            counters[w][0] = chunk * WORKERS * WAKES;
            progress[LINE * w] = 0;
        }
        for (int64_t w = 0; w < WORKERS; ++w)
            if (pthread_create(threads + w, 0, work, names + w)) return 1;
        for (int64_t w = 0; w < WORKERS; ++w) {
            void *failed;
            if (pthread_join(threads[w], &failed) || failed) return 1;
        }
    }
    for (int i = 0; i < N; ++i) {
        if (wakes[i] != CHUNKS * WAKES / OWN) return 1;
        if (since[i] > CHUNKS * WAKES * WORKERS || since[i] < (CHUNKS * WAKES - 2 * OWN) * WORKERS) return 1;
        for (int j = 0; j < DIM; ++j)
            if (!(fabs(x[i * DIM + j] - mean[j]) <= 1e-9)) {
                fprintf(stderr, "x_%d,%d = %.12f, not %.12f\n", i, j, x[i * DIM + j], mean[j]);
                return 1;
            }
    }
    return 0;
}

int main(void)
{
    return test(edge_form, 0) || test(edge_form, 1) || test(node_form, 0) || test(node_form, 1);
}
#endif
