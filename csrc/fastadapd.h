/* fastadapd: compiled loops for decentralized constrained convex optimization.
 *
 * The library allocates nothing, prints nothing and keeps no state but fa_choose_simd's: every array comes from the caller.
 * All matrices are row-major. "(not modified)" arrays are inputs, "(updated)" arrays are state, "(output)" arrays
 * are written without being read. Sizes: N agents, n coordinates, R consensus rows, M constraint rows in all.
 *
 * Functions return FA_OK or a negative enum fa_status; fa_strerror() puts a status into words. Arguments are
 * trusted: the caller checks shapes, ranges and finiteness once.
 */
#ifndef FASTADAPD_H
#define FASTADAPD_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* build.py hands the text between the two marks to CFFI: plain C declarations only. */
/* cffi: begin */

enum fa_status {
    FA_OK = 0,
    FA_NOT_FINITE = -1,   /* an iterate overflowed or became NaN; the state holds the activation it happened in */
    FA_BAD_AGENT = -2,    /* an agent index was outside [0, N); nothing was done from that activation on */
    FA_NO_SIMD = -3       /* this instruction set was not compiled in, or the processor does not have it */
};

/* Smooth convex costs. Data of one block, in this order, at `data + objective_data[block]`: */
enum fa_objective {
    FA_LINEAR = 0,        /* q[n]:              q'x                */
    FA_QUADRATIC = 1,     /* q[n], P:           x'Px/2 + q'x       */
    FA_LEAST_SQUARES = 2  /* b[m], A[m*n]:      |Ax - b|^2 / 2     */
};

/* Constraints g(x) <= 0 or g(x) = 0. Data of one block, in this order, at `data + constraint_data[block]`: */
enum fa_constraint {
    FA_ELLIPSOID = 0,             /* level, curvature, c[n], P:       (x-c)'P(x-c) - level <= 0;  curvature >= |2P|  */
    FA_QUADRATIC_INEQUALITY = 1,  /* r, curvature, q[n], P:           x'Px/2 + q'x - r <= 0;      curvature >= |P|   */
    FA_AFFINE_INEQUALITY = 2,     /* norm2, omega[m], h[m], G[m*n]:   Gx - h <= 0                                    */
    FA_AFFINE_EQUALITY = 3,       /* norm2, omega[m], b[m], A[m*n]:   Ax - b = 0                                     */
    FA_SOFT_EQUALITY = 4          /* norm2, omega[m], b[m], A[m*n], compliance[m]:  Ax - b = compliance theta: a cost
                                   * of |Ax - b|^2 / (2 compliance) by its multipliers                                  */
};
/* P is symmetric and kept by halves, in panels of FA_PANEL rows (fewer in the last): the panel of rows j, j+1, ... holds of
 * each row the entries j to n-1. Of a diagonal P, or a diagonal A of least squares (m = n), which the kind says by
 * kind + FA_DIAGONAL, only the diagonal [n] is kept. FA_LEAST_SQUARES + FA_GRAM: -A'b [n] and A'A, as a P. Gradients are
 * computed from these, which pays where they are shorter, and values from b and A, at `data + objective_values[block]`. */
enum fa_layout {
    FA_PANEL = 4,
    FA_DIAGONAL = 16,
    FA_GRAM = 32
};
/* omega_r = 1 / |G_r|^2 (0 for a row of zeros) and norm2 >= |diag(omega)^(1/2) G|^2: rows in any units weigh the same. */

/* Simple convex terms, used through their proximal maps. Data at `data + regularizer_data[agent]`: */
enum fa_regularizer {
    FA_ZERO = 0,
    FA_L1 = 1,            /* w[n]:              sum_j w_j |x_j|    */
    FA_BOX = 2,           /* lower[n], upper[n]                    */
    FA_NONNEGATIVE = 3,
    FA_L2_BALL = 4        /* radius, c[n]:      |x - c| <= radius  */
};

enum fa_momentum {
    FA_MOMENTUM_GLOBAL = 0,
    FA_MOMENTUM_LOCAL = 1
};

/* What fa_measure says of a point, over all agents. */
enum fa_measure_total {
    FA_VALUE = 0,         /* sum: f_i(x_i) + rho_i(x_i), an indicator counting 0                                        */
    FA_VIOLATION = 1,     /* largest: distance of g_i(x_i) to -K_i, or of x_i to the domain of rho_i                    */
    FA_DISTANCE = 2,      /* largest: the same in units of x, a row's violation over the norm of its row of the Jacobian */
    FA_COMPLEMENTARITY = 3, /* sum, over rows too: |theta_r g_r(x_i)|                                                   */
    FA_STATIONARITY = 4,  /* largest: |x_i - prox_{t rho_i}(x_i - t v)| / t with v = grad f_i + J_i'theta_i + (B'lambda)_i
                             and 1 / t = L_i + <theta_i, L_gi>, or `gradient` / max(|mean|, `length`) if that is more   */
    FA_APART = 5,         /* largest: |x_i - mean|                                                                      */
    FA_LENGTH = 6,        /* |mean|                                                                                     */
    FA_UNITS_APART = 7,   /* these two with every coordinate in its unit                                                */
    FA_UNITS_LENGTH = 8,
    FA_TYPICAL_GRADIENT = 9, /* of the positive ones of max(|grad f_i(x_i)|, sizes_i) the median or, if that is less, the
                             larger of the lower quartile and `mean`; 1e-9 of the largest at least; 0: none is positive */
    FA_MEAN_REACTION = 10, /* mean: |J_i' theta_i|                                                                      */
    FA_MEASURES = 11      /* number of totals */
};

/* Everything the agents know, packed agent after agent. Where all agents have blocks of the same kinds and sizes, as in
 * stacked problems, the lists of blocks and regularizers tell of agent 0 only: L is 1 then, else N. */
typedef struct {
    int64_t n_agents;                  /* N */
    int64_t dim;                       /* n */
    int64_t alike;                     /* 1: L is 1, and agent i has at + i*own_size what agent 0 has at a place `at` of data
                                          from own_begin on, and its rows of theta are own_rows*i after those of agent 0 */
    int64_t own_begin;                 /* where what all agents share ends in data */
    int64_t own_size;                  /* numbers per agent of what methods read */
    int64_t values_begin;              /* where what methods read ends in data, and what only fa_measure reads begins: b and
                                          A of FA_GRAM, but of a shared one, which are among what all agents share */
    int64_t values_size;               /* as own_size, for places from values_begin on */
    int64_t own_rows;                  /* constraint rows per agent */
    const int64_t *objective_ptr;      /* [L+1] blocks of agent i: objective_ptr[i] .. objective_ptr[i+1]-1 (not modified) */
    const int32_t *objective_kind;     /* [blocks] enum fa_objective (not modified) */
    const int32_t *objective_rows;     /* [blocks] m (not modified) */
    const int64_t *objective_data;     /* [blocks] offset into data (not modified) */
    const int64_t *objective_values;   /* [blocks] offset into data, read for FA_GRAM only (not modified) */
    const int64_t *constraint_ptr;     /* [L+1] as objective_ptr (not modified) */
    const int32_t *constraint_kind;    /* [blocks] enum fa_constraint (not modified) */
    const int32_t *constraint_rows;    /* [blocks] m, 1 for a quadratic (not modified) */
    const int64_t *constraint_data;    /* [blocks] offset into data (not modified) */
    const int64_t *constraint_first;   /* [blocks] first row in theta (not modified) */
    const int32_t *regularizer_kind;   /* [L] enum fa_regularizer (not modified) */
    const int64_t *regularizer_data;   /* [L] offset into data, not read for FA_ZERO and FA_NONNEGATIVE (not modified) */
    const double *data;                /* (not modified) */
} fa_problem;

/* The consensus matrix B (R x N) by rows and by columns, and who updates which row. */
typedef struct {
    int64_t n_rows;                    /* R */
    int64_t is_edge_form;              /* 1: every row has two entries, and their agents both own it; then rows of an
                                          agent, owned_row, are those of its column; row r is at 2r, the entry of the
                                          agent with the lower number first */
    int64_t same_values;               /* 1, in edge form only: row_value is [2], 1 and -1, the values of every row, and
                                          column_value is not read */
    const int64_t *owned_ptr;          /* [N+1] (not modified) */
    const int32_t *owned_row;          /* [owned_ptr[N]] rows that agent i updates (not modified) */
    const int32_t *neighbour;          /* [owned_ptr[N]], in edge form only: the agents at the other ends of owned_row
                                          (not modified) */
    const int64_t *row_ptr;            /* [R+1], not read in edge form (not modified) */
    const int32_t *row_agent;          /* [nnz] (not modified) */
    const double *row_value;           /* [nnz] (not modified) */
    const int64_t *column_ptr;         /* [N+1] (not modified) */
    const int32_t *column_row;         /* [nnz] (not modified) */
    const double *column_value;        /* [nnz] (not modified) */
} fa_network;

typedef struct {
    int32_t momentum;                  /* enum fa_momentum */
    int32_t adaptive;                  /* 0: tau and sigma are steps; 1: they are weights, see below */
    int32_t same_gamma;                /* 1: gamma is [1], the step of every row */
    int32_t local_steps;               /* of theta_i and x_i per activation; above 1 only with local momentum in edge form,
                                          where lambda_r <- lambda_r + local_reach gamma_r s_r comes before them, once, and
                                          every one sees lambda_r + 2 gamma_r s_r with x_i as it is then */
    double local_reach;                /* not read with one local step */
    double relaxation;                 /* rho: every update goes rho times as far; 1 with global momentum */
    const double *tau;                 /* [N] primal steps; adaptive: 1/tau_i = tau[i] + <theta_i, L_gi> (not modified) */
    const double *sigma;               /* [N] dual steps; adaptive: weights, split over blocks and rows (not modified) */
    const double *gamma;               /* [R], or [1] with same_gamma: consensus steps (not modified) */
} fa_adapd_steps;

typedef struct {
    int64_t *counters;                 /* [2] activations done; previous agent or -1 (updated) */
    int64_t *wakes;                    /* [N] activations of agent i (updated) */
    int64_t *since;                    /* [N] iterate since which x_i has its value; starts at 1 (updated) */
    double *x;                         /* [N*n] (updated) */
    double *x_sum;                     /* [N*n] sum of the iterates 1 .. since_i - 1 of agent i (updated) */
    double *dx;                        /* [n] last move of the previous agent (updated; global momentum) */
    double *theta;                     /* [M] multipliers of the constraints (updated) */
    double *g_last;                    /* [M] g_i where agent i's last local step began (updated) */
    double *lambda_;                   /* [R*n] multipliers of the consensus rows; with local momentum in edge form and one
                                          local step without the look ahead, which x is updated with (updated) */
    double *s_last;                    /* [R*n] BX when row r was last updated; starts at BX (updated; local momentum in node
                                          form only) */
} fa_adapd_state;

/* Work arrays, in doubles: fa_work_size(problem) for the functions below. */
int64_t fa_work_size(const fa_problem *problem);

/* AD-APD: wake agents[0], agents[1], ..., agents[activations - 1], one after the other. */
int fa_adapd(const fa_problem *problem, const fa_network *network, const fa_adapd_steps *steps, int64_t activations,
             const int32_t *agents /* [activations] (not modified) */, const fa_adapd_state *state,
             double *work /* [fa_work_size] (output) */);

/* What one of several workers needs to know. All agents are dealt out among the workers; each wakes only its own, and alone
 * writes x_i, theta_i and the rest that belongs to them. A row of the edge form between agents of two workers is updated at
 * the activations of one of its ends only. */
typedef struct {
    int64_t n_workers;                 /* W */
    int64_t worker;                    /* this one, from 0 */
    double pace;                       /* activations of all workers for one of this worker's: what k advances by */
    double lead;                       /* activations, of all workers, that one may be ahead of another: N/4, say.
                                          With delays of several epochs the method does not converge */
    double *progress;                  /* [16 W] at 16 w what worker w has done, in activations of all workers; 0 before
                                          any begins, infinity for one that others need not wait for (updated) */
    const int64_t *ptr;                /* [3N+1] edge form: rows of agent i are row[ptr[3i]] .. row[ptr[3i+1]-1] if the other
                                          end has the same worker, up to ptr[3i+2] if not and agent i updates them, up to
                                          ptr[3i+3] if the other end does (not modified) */
    const int32_t *row;                /* [ptr[3N]] (not modified) */
    const int32_t *neighbour;          /* [ptr[3N]] the agents at the other ends of these rows (not modified) */
} fa_share;

/* fa_adapd with local momentum by one of several workers, in threads that call this at the same time with the same arrays,
 * but for counters and work. Here counters[0] is the activations of all workers before (not modified) and counters[1] those
 * of this call (output): fewer than asked if this worker is too far ahead, then call again for the rest, from counters[1] on
 * and counters[0] as before. dx is not used. Neighbours' x and lambda are read while they change, one number at a time (relaxed
 * atomic loads and stores): nothing is undefined, and nothing repeats itself bit for bit. */
int fa_adapd_share(const fa_problem *problem, const fa_network *network, const fa_adapd_steps *steps, const fa_share *share,
                   int64_t activations, const int32_t *agents /* [activations] of this worker (not modified) */,
                   const fa_adapd_state *state, double *work /* [fa_work_size] (output) */);

typedef struct {
    double *scale;                     /* [1] tau, kappa, gamma count as tau*scale, kappa/scale, gamma/scale (updated) */
    double mu;                         /* common strong convexity, moved from f_i into the prox; 0: constant steps */
    double gamma;                      /* consensus step at scale 1 */
    const double *tau;                 /* [N] primal steps at scale 1 (not modified) */
    const double *kappa;               /* [N] dual steps at scale 1 (not modified) */
    const double *bound;               /* [N] radius of the ball that holds theta_i, infinity for none (not modified) */
} fa_dpda_steps;

typedef struct {
    int64_t *counters;                 /* [1] iterations done (updated) */
    double *x;                         /* [N*n] (updated) */
    double *x_old;                     /* [N*n] x one iteration ago; starts at x (updated) */
    double *x_sum;                     /* [N*n] sum of the iterates 1 .. k (updated) */
    double *theta;                     /* [M] (updated) */
    double *g_old;                     /* [M] g(x_old) (updated); read from iteration 2 on */
    double *s;                         /* [N*n] (updated) */
} fa_dpda_state;

/* DPDA-S with nonlinear constraints: synchronous iterations. `network` holds the graph Laplacian. */
int fa_dpda(const fa_problem *problem, const fa_network *network, const fa_dpda_steps *steps, int64_t iterations,
            const fa_dpda_state *state, double *work /* [fa_work_size] (output) */);

/* What measures of a point are compared with. */
typedef struct {
    double length;                     /* x counts as at least so long */
    double gradient;                   /* a size of cost gradients, positive */
    const double *lipschitz;           /* [N] L_i of grad f_i (not modified) */
    const double *units;               /* [n] units of the coordinates (not modified) */
    double mean;                       /* see FA_TYPICAL_GRADIENT */
    const double *sizes;               /* [N] (not modified) */
} fa_scales;

/* How good a point is: see enum fa_measure_total. */
int fa_measure(const fa_problem *problem, const fa_network *network /* NULL: no lambda_ either, which counts as 0 */,
               const fa_scales *scales, const double *x /* agent i at x + i*stride (not modified) */,
               int64_t stride /* n, or 0 for one point that all share */, const double *theta /* [M] (not modified) */,
               const double *lambda_ /* [R*n] (not modified) */, double *g /* [M] g_i(x_i) (output) */,
               double *gradients /* [N] |grad f_i(x_i)| (output) */,
               double *distances /* [N] each agent's own FA_DISTANCE (output) */,
               double *sizes /* [N] max(|grad f_i(x_i)|, sizes_i), in any order (output) */,
               double *mean /* [n] of x (output) */, double *totals /* [FA_MEASURES] (output) */,
               double *work /* [fa_work_size] (output) */);

/* What Anderson acceleration remembers: differences of successive residuals, divided by their lengths, and of the images
 * that go with them. A residual is scale * (image - point), of the first m of its numbers; the others follow. */
typedef struct {
    int64_t size;                      /* numbers of a point */
    int64_t looked_at;                 /* m */
    int64_t capacity;                  /* c */
    double regularization;             /* added to the squares of the differences in gram */
    const double *scale;               /* [m] (not modified) */
    const double *units;               /* [m] scale, 1 where that is 0 (not modified) */
    float *residuals;                  /* [c*m] differences of residuals (updated) */
    float *images;                     /* [c*m] of images, times units (updated) */
    double *tails;                     /* [c*(size-m)] of what follows (updated) */
    double *gram;                      /* [c*c] products of differences of residuals (updated) */
    double *toward;                    /* [c] their products with the last residual (updated) */
    double *factor;                    /* [c*c] (output) */
    double *gamma;                     /* [c] (output) */
} fa_memory;

enum fa_comparison { FA_MOVEMENT = 0, FA_EXTENT = 1, FA_CHANGE = 2, FA_COMPARISONS = 3 };

/* The residual, and the lengths of it, of the scaled image, and of what changed since the last residual. */
int fa_compare(const fa_memory *memory, const double *point /* [m] (not modified) */,
               const double *image /* [m] (not modified) */, const double *last /* [m] or NULL (not modified) */,
               double *residual /* [m] (output) */, double *lengths /* [FA_COMPARISONS] (output) */);

/* Put the differences of two residuals, `length` apart, and of their images into a slot, one of the first `used`. */
int fa_remember(const fa_memory *memory, int64_t slot, int64_t used, double length,
                const double *residual /* [m] (not modified) */, const double *last /* [m] (not modified) */,
                const double *image /* [size] (not modified) */, const double *last_image /* [size] (not modified) */);

/* How far the combination of the first `used` differences that comes nearest to the residual, which is `norm` long, moves
 * the image, and the length of that, scaled. */
int fa_extrapolate(const fa_memory *memory, int64_t used, double norm,
                   const double *residual /* [m] to compute `toward` from, or NULL: it is known (not modified) */,
                   double *move /* [size] (output) */, double *length /* [1] (output) */);

/* One sentence for a status. */
const char *fa_strerror(int status);

/* Instruction sets the loops are compiled for. All compute the same, bit for bit. */
enum fa_simd_set {
    FA_SIMD_BEST = 0,     /* the best that the processor has */
    FA_SIMD_BASELINE = 1, /* what every processor of the kind has: SSE2 on x86-64, NEON on AArch64 */
    FA_SIMD_AVX2 = 2
};

/* Choose for all calls to come, FA_SIMD_BEST if never called; FA_OK or FA_NO_SIMD. The only state the library keeps: not
 * while a loop runs in another thread. */
int fa_choose_simd(int32_t simd);

/* The one that is used: "AVX2", "NEON" or "baseline". */
const char *fa_simd(void);

/* cffi: end */

#ifdef __cplusplus
}
#endif

#endif
