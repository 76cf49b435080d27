/* The floor of an activation: what memory alone asks for. Compiled by bench_floor.py with -DDIM=n.
 *
 * For every agent of the sequence, in its order, it
 *   reads   the agent's terms with every matrix dense, its step data (tau, sigma), its lists of edges and neighbours, and the
 *           neighbours' x (+1 and -1 of B are the same for all edges, and so is gamma);
 *   updates (reads and writes) lambda of its edges, its x and x_sum, theta, g_last, wakes and since.
 * All that is read goes into vector sums; what is written are values that were read. Nothing else is computed. With `ahead`
 * memory is asked for the agent that comes in so many activations (0: not).
 */
#include <stdint.h>

enum { LANES = 32 }; /* sums side by side, so that no addition waits for the one before */

typedef struct {
    int64_t width, rows;               /* numbers per agent; constraint rows per agent */
    const double *terms;               /* [N*width] */
    const double *tau, *sigma;         /* [N] */
    const int64_t *owned_ptr;          /* [N+1] */
    const int32_t *owned_row;          /* edges of an agent */
    const int32_t *neighbour;          /* agents at their other ends */
    int64_t *wakes, *since;            /* [N] */
    double *x, *x_sum;                 /* [N*DIM] */
    double *theta, *g_last;            /* [N*rows] */
    double *lambda;                    /* [edges*DIM] */
} memory;

static inline void add(int64_t n, const double *restrict a, double *restrict sum)
{
    int64_t k = 0;
    for (; k + LANES <= n; k += LANES)
        for (int64_t l = 0; l < LANES; ++l) sum[l] += a[k + l];
    for (int64_t l = 0; k + l < n; ++l) sum[l] += a[k + l];
}

static inline void ask(int64_t n, const double *a)
{
    for (int64_t k = 0; k < n && k < 256; k += n > 128 ? 4 : 8) __builtin_prefetch(a + k); /* of many, some are lost */
    __builtin_prefetch(a + n - 1);
}

static inline void ask_all(const memory *m, int64_t i)
{
    ask(m->width, m->terms + i * m->width);
    ask(DIM, m->x + i * DIM);
    ask(DIM, m->x_sum + i * DIM);
    for (int64_t o = m->owned_ptr[i]; o < m->owned_ptr[i + 1]; ++o) {
        ask(DIM, m->lambda + (int64_t)m->owned_row[o] * DIM);
        ask(DIM, m->x + (int64_t)m->neighbour[o] * DIM);
    }
}

double touch(const memory *m, int64_t activations, const int32_t *agents, int64_t ahead)
{
    double sum[LANES] = {0}, total = 0.0;
    for (int64_t a = 0; a < activations; ++a) {
        const int64_t i = agents[a];
        double *restrict x = m->x + i * DIM, *restrict x_sum = m->x_sum + i * DIM;
        if (ahead && a + ahead < activations) ask_all(m, agents[a + ahead]);
        add(m->width, m->terms + i * m->width, sum);
        sum[0] += m->tau[i] + m->sigma[i];
        for (int64_t o = m->owned_ptr[i]; o < m->owned_ptr[i + 1]; ++o) {
            double *restrict lambda = m->lambda + (int64_t)m->owned_row[o] * DIM;
            const double *restrict xj = m->x + (int64_t)m->neighbour[o] * DIM;
            for (int64_t j = 0; j < DIM; ++j) {
                sum[j % LANES] += lambda[j];
                lambda[j] = xj[j];
            }
        }
        for (int64_t r = i * m->rows; r < (i + 1) * m->rows; ++r) {
            const double t = m->theta[r];
            m->theta[r] = m->g_last[r];
            m->g_last[r] = t;
        }
        for (int64_t j = 0; j < DIM; ++j) {
            const double t = x[j];
            x[j] = x_sum[j];
            x_sum[j] = t;
        }
        m->since[i] = a;
        m->wakes[i] += 1;
    }
    for (int64_t l = 0; l < LANES; ++l) total += sum[l];
    return total;
}
