/* The C library without Python: problems whose solutions are known in closed form, measures worked out by hand, codes.
 *
 * Three agents on the path 0 - 1 - 2 with f_i = |x - b_i|^2 / 2 (less a constant), b_i of mean (3, 4), and |x|^2 <= 4 at
 * agent 1: x* = (1.2, 1.6), the projection of the mean, and 3 (x* - mean) + 2 theta* x* = 0 gives theta* = 2.25. Agent 0
 * keeps 0 <= x <= 5, which holds at x*. Returns 0 when all is well.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "fastadapd.h"

#define CHECK(condition)                                                                      \
    do {                                                                                      \
        if (!(condition)) {                                                                   \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition);     \
            return 1;                                                                         \
        }                                                                                     \
    } while (0)
#define CLOSE(a, b, tolerance) CHECK(fabs((a) - (b)) <= (tolerance))
#define COUNT(array) ((int64_t)(sizeof(array) / sizeof(array)[0]))

enum { N = 3, DIM = 2, EDGES = 2, ACTIVATIONS = 60000, WORK = 4 * DIM + 4 * (3 + DIM), CANARY = 4 };

static const double data[] = {
    0, -4, 1, 0, 0, 1,      /*  0: agent 0, q = -b_0, P = I */
    -9, -6, 1, 0, 0, 1,     /*  6: agent 1 */
    0, -2, 1, 0, 0, 1,      /* 12: agent 2 */
    4, 2, 0, 0, 1, 0, 0, 1, /* 18: the ellipsoid: level, curvature, center, P */
    0, 0, 5, 5,             /* 26: the box: lower, upper */
};
static const int64_t objective_ptr[] = {0, 1, 2, 3}, objective_data[] = {0, 6, 12};
static const int32_t objective_kind[] = {FA_QUADRATIC, FA_QUADRATIC, FA_QUADRATIC}, objective_rows[] = {1, 1, 1};
static const int64_t constraint_ptr[] = {0, 0, 1, 1}, constraint_data[] = {18}, constraint_first[] = {0};
static const int32_t constraint_kind[] = {FA_ELLIPSOID}, constraint_rows[] = {1};
static const int32_t regularizer_kind[] = {FA_BOX, FA_ZERO, FA_ZERO};
static const int64_t regularizer_data[] = {26, 0, 0};
static const fa_problem problem = {
    .n_agents = N, .dim = DIM,
    .objective_ptr = objective_ptr, .objective_kind = objective_kind, .objective_rows = objective_rows,
    .objective_data = objective_data, .constraint_ptr = constraint_ptr, .constraint_kind = constraint_kind,
    .constraint_rows = constraint_rows, .constraint_data = constraint_data, .constraint_first = constraint_first,
    .regularizer_kind = regularizer_kind, .regularizer_data = regularizer_data, .data = data,
};

/* The incidence matrix: rows (1, -1, 0) and (0, 1, -1); both ends own the row of their edge. */
static const int64_t owned_ptr[] = {0, 1, 3, 4}, row_ptr[] = {0, 2, 4}, column_ptr[] = {0, 1, 3, 4};
static const int32_t owned_row[] = {0, 0, 1, 1}, neighbour[] = {1, 0, 2, 1}, row_agent[] = {0, 1, 1, 2}, column_row[] = {0, 0, 1, 1};
static const double row_value[] = {1, -1, 1, -1}, column_value[] = {1, -1, 1, -1};
static const fa_network incidence = {
    .n_rows = EDGES, .is_edge_form = 1, .owned_ptr = owned_ptr, .owned_row = owned_row, .neighbour = neighbour,
    .row_ptr = row_ptr, .row_agent = row_agent, .row_value = row_value, .column_ptr = column_ptr, .column_row = column_row,
    .column_value = column_value,
};

/* The Laplacian; agent i owns row i. */
static const int64_t own_ptr[] = {0, 1, 2, 3}, lap_ptr[] = {0, 2, 5, 7};
static const int32_t own_row[] = {0, 1, 2}, lap_agent[] = {0, 1, 0, 1, 2, 1, 2};
static const double lap_value[] = {1, -1, -1, 2, -1, -1, 1};
static const fa_network laplacian = {
    .n_rows = N, .is_edge_form = 0, .owned_ptr = own_ptr, .owned_row = own_row, .row_ptr = lap_ptr,
    .row_agent = lap_agent, .row_value = lap_value, .column_ptr = lap_ptr, .column_row = lap_agent,
    .column_value = lap_value,
};

/* What AD-APD remembers, with room behind the work array that must stay as it is. */
typedef struct {
    int64_t counters[2], wakes[N], since[N];
    double x[N * DIM], x_sum[N * DIM], dx[DIM], theta[1], g_last[1], lambda_[N * DIM], s_last[N * DIM], work[WORK + CANARY];
    fa_adapd_state state;
} memory;

static void begin(memory *m)
{
    memset(m, 0, sizeof *m);
    m->counters[1] = -1;
    for (int i = 0; i < N; ++i) m->since[i] = 1;
    for (int k = 0; k < CANARY; ++k) m->work[fa_work_size(&problem) + k] = 12345.0;
    m->state = (fa_adapd_state){
        .counters = m->counters, .wakes = m->wakes, .since = m->since, .x = m->x, .x_sum = m->x_sum, .dx = m->dx,
        .theta = m->theta, .g_last = m->g_last, .lambda_ = m->lambda_, .s_last = m->s_last,
    };
}

static int untouched(const memory *m)
{
    for (int k = 0; k < CANARY; ++k)
        if (m->work[fa_work_size(&problem) + k] != 12345.0) return 0;
    return 1;
}

static const double tau[] = {0.08, 0.03, 0.08}, sigma[] = {0.02, 0.02, 0.02}, gamma_[] = {0.5, 0.5, 0.5};
static int32_t agents[ACTIVATIONS];

static fa_adapd_steps fixed_steps(int32_t momentum)
{
    const fa_adapd_steps steps = {
        .momentum = momentum, .adaptive = 0, .relaxation = 1.0, .tau = tau, .sigma = sigma, .gamma = gamma_,
    };
    return steps;
}

static int solves_with(const fa_network *network, fa_adapd_steps steps)
{
    memory m;
    begin(&m);
    CHECK(fa_adapd(&problem, network, &steps, 1000, agents, &m.state, m.work) == FA_OK);
    CHECK(fa_adapd(&problem, network, &steps, ACTIVATIONS - 1000, agents + 1000, &m.state, m.work) == FA_OK);
    for (int i = 0; i < N; ++i) {
        CLOSE(m.x[i * DIM], 1.2, 1e-9);
        CLOSE(m.x[i * DIM + 1], 1.6, 1e-9);
    }
    CLOSE(m.theta[0], 2.25, 1e-8);
    CHECK(m.counters[0] == ACTIVATIONS && m.counters[1] == agents[ACTIVATIONS - 1]);
    CHECK(m.wakes[0] + m.wakes[1] + m.wakes[2] == ACTIVATIONS);
    CHECK(untouched(&m));
    return 0;
}

static int test_adapd(void)
{
    uint32_t random = 1;
    for (int k = 0; k < ACTIVATIONS; ++k) {
        random = random * 1664525u + 1013904223u;
        agents[k] = (int32_t)((random >> 16) % N);
    }
    for (int32_t momentum = FA_MOMENTUM_GLOBAL; momentum <= FA_MOMENTUM_LOCAL; ++momentum) {
        if (solves_with(&incidence, fixed_steps(momentum)) || solves_with(&laplacian, fixed_steps(momentum))) return 1;
    }
    /* the weight 1: 1/tau_i = 1 + 2 a_i + the curvature, sigma_i = a_i, with a_i the sum of |B_ri| */
    const double tau_weight[] = {3, 5, 3}, sigma_weight[] = {1, 2, 1};
    fa_network alike = incidence;
    alike.same_values = 1;
    for (int relaxed = 0; relaxed <= 1; ++relaxed) {
        fa_adapd_steps adaptive = {
            .momentum = FA_MOMENTUM_LOCAL, .adaptive = 1, .same_gamma = relaxed, .relaxation = relaxed ? 1.3 : 1.0,
            .local_reach = 1.6, .tau = tau_weight, .sigma = sigma_weight, .gamma = gamma_,
        };
        for (adaptive.local_steps = 1; adaptive.local_steps <= 5; adaptive.local_steps += 2)
            if (solves_with(relaxed ? &alike : &incidence, adaptive)) return 1;
    }
    return 0;
}

static int test_first_activations_by_hand(void)
{
    /* agent 1 at 0: g = -4, theta stays 0, x_1 = tau b_1 = 0.03 (9, 6);
     * agent 2: s = x_1 - x_2 = (0.27, 0.18), s^ = s + 3 s = 4 s, lambda = 0.5 s^ = (0.54, 0.36), x_2 = 0.08 (b_2 + lambda) */
    memory m;
    const int32_t two[] = {1, 2};
    const fa_adapd_steps steps = fixed_steps(FA_MOMENTUM_GLOBAL);
    begin(&m);
    CHECK(fa_adapd(&problem, &incidence, &steps, COUNT(two), two, &m.state, m.work) == FA_OK);
    CLOSE(m.x[2], 0.27, 1e-15);
    CLOSE(m.x[3], 0.18, 1e-15);
    CLOSE(m.lambda_[2], 0.54, 1e-15);
    CLOSE(m.lambda_[3], 0.36, 1e-15);
    CLOSE(m.x[4], 0.08 * 0.54, 1e-15);
    CLOSE(m.x[5], 0.08 * (2 + 0.36), 1e-15);
    CHECK(m.theta[0] == 0.0 && m.g_last[0] == -4.0);
    CHECK(m.x[0] == 0.0 && m.since[1] == 1 && m.since[2] == 2);
    return 0;
}

static int test_codes(void)
{
    memory m;
    const fa_adapd_steps steps = fixed_steps(FA_MOMENTUM_LOCAL);
    const int32_t wrong[][3] = {{0, 1, -1}, {0, 1, N}, {0, 1, INT32_MAX}};
    for (int64_t k = 0; k < COUNT(wrong); ++k) {
        begin(&m);
        CHECK(fa_adapd(&problem, &incidence, &steps, 3, wrong[k], &m.state, m.work) == FA_BAD_AGENT);
        CHECK(m.counters[0] == 2 && m.counters[1] == 1);
    }
    begin(&m);
    CHECK(fa_adapd(&problem, &incidence, &steps, 0, NULL, &m.state, m.work) == FA_OK);
    CHECK(m.counters[0] == 0);

    const double far[] = {1e300, 1e300, 1e300};
    fa_adapd_steps wild = steps;
    wild.tau = wild.sigma = wild.gamma = far;
    begin(&m);
    CHECK(fa_adapd(&problem, &incidence, &wild, ACTIVATIONS, agents, &m.state, m.work) == FA_NOT_FINITE);
    CHECK(m.counters[0] < 100);
    for (int k = 0; k < N * DIM; ++k) CHECK(isfinite(m.x[k]));

    CHECK(strcmp(fa_strerror(FA_OK), "no error") == 0);
    CHECK(strcmp(fa_strerror(FA_BAD_AGENT), fa_strerror(FA_NOT_FINITE)) != 0);
    CHECK(strlen(fa_strerror(-99)) > 0 && strlen(fa_simd()) > 0);
    return 0;
}

static int dpda(double mu, double *x, double *theta, double *x_sum)
{
    int64_t counters[1] = {0};
    double x_old[N * DIM] = {0}, g_old[1] = {0}, s[N * DIM] = {0}, work[WORK], scale = 1.0;
    const double steps_tau[] = {0.2, 0.05, 0.2}, kappa[] = {0.1, 0.1, 0.1}, bound[] = {10, 10, 10};
    const fa_dpda_steps steps = {
        .scale = &scale, .mu = mu, .gamma = 0.5, .tau = steps_tau, .kappa = kappa, .bound = bound,
    };
    const fa_dpda_state state = {
        .counters = counters, .x = x, .x_old = x_old, .x_sum = x_sum, .theta = theta, .g_old = g_old, .s = s,
    };
    const int status = fa_dpda(&problem, &laplacian, &steps, 3000, &state, work);
    return status == FA_OK && counters[0] == 3000 ? FA_OK : -100;
}

static int test_dpda(void)
{
    for (int accelerated = 0; accelerated <= 1; ++accelerated) {
        double x[N * DIM] = {0}, theta[1] = {0}, x_sum[N * DIM] = {0};
        CHECK(dpda(accelerated ? 0.9 : 0.0, x, theta, x_sum) == FA_OK);
        for (int i = 0; i < N; ++i) {
            CLOSE(x[i * DIM], 1.2, 1e-8);
            CLOSE(x[i * DIM + 1], 1.6, 1e-8);
            CLOSE(x_sum[i * DIM] / 3000, 1.2, 1e-1);
        }
        CLOSE(theta[0], 2.25, 1e-7);
    }
    return 0;
}

static int test_measure(void)
{
    const double x[] = {3, 4}, theta[] = {1}, lambda[] = {1, 0, 1, 0};
    const double lipschitz[] = {2, 0, 2}, units[] = {2, 0.5}; /* with theta L_g = 2 of agent 1 all steps are 1/2 */
    const double least[] = {5, 0, 0}; /* sizes 5, sqrt(40), sqrt(13): their median is 5, the lower quartile sqrt(13) */
    const fa_scales scales = {
        .length = 10, .gradient = 1, .lipschitz = lipschitz, .units = units, .mean = 4, .sizes = least,
    };
    fa_scales steep = scales;
    double g[1], gradients[N], distances[N], sizes[N], mean[DIM], out[FA_MEASURES], work[WORK];
    steep.gradient = 40;
    CHECK(fa_measure(&problem, &incidence, &scales, x, 0, theta, lambda, g, gradients, distances, sizes, mean, out, work) == FA_OK);
    CLOSE(g[0], 21, 1e-14); /* 9 + 16 - 4 */
    /* agent 1: f = 25/2 - 9*3 - 6*4, grad f = (-6, -2), J = (6, 8); the others 25/2 - 4*4 and 25/2 - 2*4 */
    CLOSE(out[FA_VALUE], 12.5 - 51 + 12.5 - 16 + 12.5 - 8, 1e-13);
    CLOSE(out[FA_VIOLATION], 21, 1e-13);
    CLOSE(out[FA_DISTANCE], 2.1, 1e-14);
    CLOSE(out[FA_COMPLEMENTARITY], 21, 1e-13);
    CLOSE(out[FA_STATIONARITY], 6, 1e-13); /* |(-6, -2) + (6, 8) - (1, 0) + (1, 0)| */
    CLOSE(gradients[0], 3, 1e-14);
    CLOSE(gradients[1], sqrt(40), 1e-14);
    CLOSE(gradients[2], sqrt(13), 1e-14);
    CLOSE(distances[1], 2.1, 1e-14);
    CHECK(out[FA_TYPICAL_GRADIENT] == 4);
    CLOSE(out[FA_MEAN_REACTION], 10 / 3.0, 1e-14); /* |(6, 8)| */
    CHECK(distances[0] == 0 && distances[2] == 0 && mean[0] == 3 && mean[1] == 4);
    CHECK(out[FA_APART] == 0 && out[FA_LENGTH] == 5 && out[FA_UNITS_APART] == 0);
    CLOSE(out[FA_UNITS_LENGTH], sqrt(40), 1e-14);

    /* one point per agent; agent 0 is 1 above its box and is sent back by the proximal map */
    const double each[] = {6, 4, 1.2, 1.6, 0, 2}, back[] = {-6, 0, 0, 0};
    CHECK(fa_measure(&problem, &incidence, &scales, each, DIM, theta, lambda, g, gradients, distances, sizes, mean, out, work) == FA_OK);
    CLOSE(out[FA_VIOLATION], 1, 1e-14);
    CLOSE(out[FA_STATIONARITY], 7, 1e-14); /* (6 - (6 - 0.5 * 7)) / 0.5 */
    CLOSE(g[0], 0, 1e-15);
    CLOSE(mean[0], 2.4, 1e-15);
    CLOSE(mean[1], 7.6 / 3, 1e-15);
    CLOSE(out[FA_APART], hypot(3.6, 4 - 7.6 / 3), 1e-14);
    CLOSE(out[FA_UNITS_APART], hypot(7.2, 2 - 3.8 / 3), 1e-14);
    CHECK(fa_measure(&problem, NULL, &scales, each, DIM, theta, NULL, g, gradients, distances, sizes, mean, out, work) == FA_OK);
    CLOSE(out[FA_STATIONARITY], 6, 1e-14);
    /* lambda holds agent 0 where it is: only the box moves it, by 1 in a step of 1/2 or of 10/40 */
    CHECK(fa_measure(&problem, &incidence, &scales, each, DIM, theta, back, g, gradients, distances, sizes, mean, out, work) == FA_OK);
    CLOSE(out[FA_STATIONARITY], 2, 1e-14);
    CHECK(fa_measure(&problem, &incidence, &steep, each, DIM, theta, back, g, gradients, distances, sizes, mean, out, work) == FA_OK);
    CLOSE(out[FA_STATIONARITY], 4, 1e-14);
    return 0;
}

static int test_every_term(void)
{
    /* One agent at x = (1, -2) with 2 costs and 4 constraints; its g, worked out by hand. */
    static const double numbers[] = {
        2, 1,                   /*  0: q'x = 0 */
        1, 3, 1, 0, 1, 1,       /*  2: b, A: |(1, -1) - (1, 3)|^2 / 2 = 8 */
        1, 4, 0, 0, 2, 0, 0, 1, /*  8: (2 + 4) - 1 = 5 */
        2, 2, 1, 1, 2, 0, 0, 2, /* 16: (2 + 8)/2 - 1 - 2 = 2 */
        1, 1, 0.25, 1, 1,       /* 24: norm2, omega, h, */
        1, 0, 0, -2,            /* 29: G: (1 - 1, 4 - 1) = (0, 3) */
        1, 0.5, 0, 1, 1,        /* 33: norm2, omega, b, A: -1 */
        0.5, 0.25,              /* 38: weights of l1: 0.5 + 0.5 */
        0.5, 1, -1,             /* 40: the ball: radius, center: at the distance 1, 0.5 outside */
        -4, -3, 2, 1, 1, 1,     /* 43: -A'b, A'A */
    };
    static const int64_t costs[] = {0, 2}, cost_data[][2] = {{0, 2}, {0, 43}}, values[] = {0, 2};
    static const int64_t limits[] = {0, 4}, limit_data[] = {8, 16, 24, 33};
    static const int64_t first[] = {0, 1, 2, 4};
    static const int32_t cost_kind[][2] = {{FA_LINEAR, FA_LEAST_SQUARES}, {FA_LINEAR, FA_LEAST_SQUARES + FA_GRAM}};
    static const int32_t cost_rows[] = {1, 2};
    static const int32_t limit_kind[] = {FA_ELLIPSOID, FA_QUADRATIC_INEQUALITY, FA_AFFINE_INEQUALITY, FA_AFFINE_EQUALITY};
    static const int32_t limit_rows[] = {1, 1, 2, 1};
    const double x[] = {1, -2}, theta[] = {1, 1, 1, 1, -2}, lipschitz[] = {2}, units[] = {1, 1};
    const fa_scales scales = {.length = 1, .gradient = 1, .lipschitz = lipschitz, .units = units, .sizes = units};
    const double expected[] = {5, 2, 0, 3, -1};
    const int32_t kinds[] = {FA_ZERO, FA_L1, FA_BOX, FA_NONNEGATIVE, FA_L2_BALL};
    const int64_t places[] = {0, 38, 38, 0, 40};
    const double rho[] = {0, 1, 0, 0, 0}, outside[] = {0, 0, 0, 2, 0.5};
    double g[5], gradient[1], distance[1], size[1], mean[DIM], out[FA_MEASURES], work[WORK];
    for (int64_t l = 0; l < 2 * COUNT(kinds); ++l) {
        const int64_t k = l / 2, gram = l % 2;
        if (kinds[k] == FA_BOX) continue; /* test_measure has it */
        const fa_problem one = {
            .n_agents = 1, .dim = DIM, .objective_ptr = costs, .objective_kind = cost_kind[gram],
            .objective_rows = cost_rows, .objective_data = cost_data[gram], .objective_values = values,
            .constraint_ptr = limits, .constraint_kind = limit_kind, .constraint_rows = limit_rows, .constraint_data = limit_data,
            .constraint_first = first, .regularizer_kind = kinds + k, .regularizer_data = places + k, .data = numbers,
        };
        CHECK(fa_work_size(&one) <= WORK);
        CHECK(fa_measure(&one, NULL, &scales, x, DIM, theta, NULL, g, gradient, distance, size, mean, out, work) == FA_OK);
        for (int r = 0; r < 5; ++r) CLOSE(g[r], expected[r], 1e-14);
        CLOSE(out[FA_VALUE], 8 + rho[k], 1e-14);
        CLOSE(out[FA_VIOLATION], fmax(sqrt(25 + 4 + 9 + 1), outside[k]), 1e-14);
        /* grad f = q + A'(Ax - b) = (2, 1) + (0 - 4, 0 - 4) */
        CLOSE(gradient[0], sqrt(13), 1e-14);
        CLOSE(out[FA_MEAN_REACTION], sqrt(36 + 121), 1e-13);
        CLOSE(out[FA_COMPLEMENTARITY], 5 + 2 + 0 + 3 + 2, 1e-14);
        CLOSE(out[FA_DISTANCE], fmax(fmax(5 / sqrt(32), 3.0 / 2), outside[k]), 1e-14);
        CHECK(distance[0] == out[FA_DISTANCE]);
        /* J'theta = (4, -4) + (3, -3) + (1, 0) + (0, -2) - 2 (1, 1); v = (-2, -3) + (6, -11) = (4, -14); the inverse of
         * the step is 2 + 4 + 2, so that x - v/8 = (0.5, -0.25) */
        const double moved[][2] = {{0.5, -0.25}, {0.4375, -0.21875}, {0, 0}, {0.5, 0}, {1 - 1 / sqrt(13), -1 + 1.5 / sqrt(13)}};
        CLOSE(out[FA_STATIONARITY], hypot(1 - moved[k][0], -2 - moved[k][1]) * 8, 1e-13);
    }
    return 0;
}

int main(void)
{
    return test_adapd() || test_first_activations_by_hand() || test_codes() || test_dpda() || test_measure() || test_every_term();
}
