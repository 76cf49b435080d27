/* Internal: what one agent can do with its own terms. Letters as in the paper: f, g, J, rho, theta, tau, sigma. */
#ifndef FASTADAPD_TERMS_H
#define FASTADAPD_TERMS_H

#include <math.h>

#include "dispatch.h"

#if defined(_MSC_VER)
#define FA_RESTRICT __restrict
#define FA_INLINE static __forceinline
#define FA_PREFETCH(address) ((void)(address))
#else
#define FA_RESTRICT restrict
#define FA_INLINE static inline __attribute__((always_inline))
#define FA_PREFETCH(address) __builtin_prefetch(address)
#endif

/* A number that another thread may write, or read, meanwhile: relaxed and atomic. An aligned volatile double is that for
 * Visual C++, which documents it. */
FA_INLINE double fa_load(const double *address)
{
#if defined(__GNUC__) || defined(__clang__)
    double value;
    __atomic_load((double *)address, &value, __ATOMIC_RELAXED);
    return value;
#else
    return *(const volatile double *)address;
#endif
}

FA_INLINE void fa_store(double *address, double value)
{
#if defined(__GNUC__) || defined(__clang__)
    __atomic_store(address, &value, __ATOMIC_RELAXED);
#else
    *(volatile double *)address = value;
#endif
}

/* How far ahead memory is asked, in numbers, where a problem does not fit into the cache (`far`). */
enum { FA_AHEAD = 1024 };

/* Functions take n, the number of coordinates, by itself: where it is a literal, loops are unrolled. */

/* A sum may be reassociated, so that it vectorizes; nothing else may. */
FA_INLINE double fa_dot(int64_t n, const double *FA_RESTRICT a, const double *FA_RESTRICT b)
{
    double sum = 0.0;
#pragma omp simd reduction(+ : sum)
    for (int64_t j = 0; j < n; ++j) sum += a[j] * b[j];
    return sum;
}

/* y <- y + a x */
FA_INLINE void fa_axpy(int64_t n, double a, const double *FA_RESTRICT x, double *FA_RESTRICT y)
{
#pragma omp simd
    for (int64_t j = 0; j < n; ++j) y[j] += a * x[j];
}

FA_INLINE void fa_zero(int64_t n, double *FA_RESTRICT y)
{
#pragma omp simd
    for (int64_t j = 0; j < n; ++j) y[j] = 0.0;
}

/* y <- y + P x for a symmetric P by halves: a panel is read once, as columns for the y below it and, by symmetry, as rows
 * for its own y. */
FA_INLINE void fa_symmetric_multiply(int64_t n, int far, const double *FA_RESTRICT P, const double *FA_RESTRICT x,
                                     double *FA_RESTRICT y)
{
    int64_t j = 0, left = n * (n + 1) / 2; /* numbers from here on, at least */
    for (; j + FA_PANEL <= n; j += FA_PANEL) {
        const int64_t m = n - j;
        if (far)
            for (int64_t k = FA_AHEAD; k < FA_AHEAD + FA_PANEL * m && k < left; k += 8) FA_PREFETCH(P + k);
        const double *FA_RESTRICT p = P, *FA_RESTRICT xj = x + j;
        double *FA_RESTRICT yj = y + j;
        const double x0 = xj[0], x1 = xj[1], x2 = xj[2], x3 = xj[3];
        double y0 = 0.0, y1 = 0.0, y2 = 0.0, y3 = 0.0;
#pragma omp simd
        for (int64_t k = 0; k < FA_PANEL; ++k)
            yj[k] += (x0 * p[k] + x1 * p[m + k]) + (x2 * p[2 * m + k] + x3 * p[3 * m + k]);
#pragma omp simd reduction(+ : y0, y1, y2, y3)
        for (int64_t k = FA_PANEL; k < m; ++k) {
            const double p0 = p[k], p1 = p[m + k], p2 = p[2 * m + k], p3 = p[3 * m + k];
            yj[k] += (x0 * p0 + x1 * p1) + (x2 * p2 + x3 * p3);
            y0 += xj[k] * p0;
            y1 += xj[k] * p1;
            y2 += xj[k] * p2;
            y3 += xj[k] * p3;
        }
        yj[0] += y0;
        yj[1] += y1;
        yj[2] += y2;
        yj[3] += y3;
        P += FA_PANEL * m;
        left -= FA_PANEL * m;
    }
    for (int64_t m = n - j, c = 0; c < m; ++c) fa_axpy(m, x[j + c], P + c * m, y + j);
}

/* y <- y + P x for the P of a quadratic of this kind. */
FA_INLINE void fa_multiply(int64_t n, int32_t kind, int far, const double *FA_RESTRICT P, const double *FA_RESTRICT x,
                           double *FA_RESTRICT y)
{
    if (kind & FA_DIAGONAL) {
#pragma omp simd
        for (int64_t j = 0; j < n; ++j) y[j] += P[j] * x[j];
    } else {
        fa_symmetric_multiply(n, far, P, x, y);
    }
}

/* v <- v + A'(Ax - b), four rows at a time, so that A is read once; returns |Ax - b|^2 / 2. */
FA_INLINE double fa_least_squares_gradient(int64_t n, int64_t m, const double *FA_RESTRICT b, const double *FA_RESTRICT A,
                                           const double *FA_RESTRICT x, double *FA_RESTRICT v)
{
    double value = 0.0;
    int64_t r = 0;
    for (; r + 4 <= m; r += 4, A += 4 * n) {
        double e0 = 0.0, e1 = 0.0, e2 = 0.0, e3 = 0.0;
#pragma omp simd reduction(+ : e0, e1, e2, e3)
        for (int64_t j = 0; j < n; ++j) {
            e0 += A[j] * x[j];
            e1 += A[n + j] * x[j];
            e2 += A[2 * n + j] * x[j];
            e3 += A[3 * n + j] * x[j];
        }
        e0 -= b[r];
        e1 -= b[r + 1];
        e2 -= b[r + 2];
        e3 -= b[r + 3];
#pragma omp simd
        for (int64_t j = 0; j < n; ++j) v[j] += (e0 * A[j] + e1 * A[n + j]) + (e2 * A[2 * n + j] + e3 * A[3 * n + j]);
        value += 0.5 * ((e0 * e0 + e1 * e1) + (e2 * e2 + e3 * e3));
    }
    for (; r < m; ++r, A += n) {
        const double e = fa_dot(n, A, x) - b[r];
        fa_axpy(n, e, A, v);
        value += 0.5 * e * e;
    }
    return value;
}

FA_INLINE int fa_is_affine(int32_t kind)
{
    return kind == FA_AFFINE_INEQUALITY || kind == FA_AFFINE_EQUALITY;
}

/* Numbers of the symmetric matrix of a quadratic of this kind, at least. */
FA_INLINE int64_t fa_matrix_size(int64_t n, int32_t kind)
{
    return kind & FA_DIAGONAL ? n : n * (n + 1) / 2;
}

/* Numbers of a block, at least. */
FA_INLINE int64_t fa_objective_size(const fa_problem *problem, int64_t n, int64_t b)
{
    const int32_t kind = problem->objective_kind[b];
    if (kind == FA_LEAST_SQUARES) return problem->objective_rows[b] * (1 + n);
    return n + (kind == FA_LINEAR ? 0 : fa_matrix_size(n, kind));
}

FA_INLINE int64_t fa_constraint_size(const fa_problem *problem, int64_t n, int64_t b)
{
    const int32_t kind = problem->constraint_kind[b];
    if (fa_is_affine(kind)) return 1 + problem->constraint_rows[b] * (2 + n);
    return 2 + n + fa_matrix_size(n, kind);
}

FA_INLINE int64_t fa_regularizer_size(int64_t n, int32_t kind)
{
    return kind == FA_L1 ? n : kind == FA_BOX ? 2 * n : kind == FA_L2_BALL ? 1 + n : 0;
}

/* Numbers of all blocks, nearly: the last one's place. */
FA_INLINE int64_t fa_data_size(const fa_problem *problem, int64_t n)
{
    const int64_t f = problem->objective_ptr[problem->n_agents], g = problem->constraint_ptr[problem->n_agents];
    const int64_t last_f = f > 0 ? problem->objective_data[f - 1] + fa_objective_size(problem, n, f - 1) : 0;
    const int64_t last_g = g > 0 ? problem->constraint_data[g - 1] + fa_constraint_size(problem, n, g - 1) : 0;
    return last_f > last_g ? last_f : last_g;
}

/* v <- v + grad f_i(x); returns f_i(x) when `with_value`, else 0. y[n] is work. */
FA_INLINE double fa_objective_gradient(const fa_problem *problem, int64_t n, int64_t i, int far, const double *FA_RESTRICT x,
                                       double *FA_RESTRICT v, double *FA_RESTRICT y, int with_value)
{
    double value = 0.0;
    for (int64_t b = problem->objective_ptr[i]; b < problem->objective_ptr[i + 1]; ++b) {
        const double *data = problem->data + problem->objective_data[b];
        const int32_t kind = problem->objective_kind[b];
        switch (kind & ~FA_DIAGONAL) {
        case FA_LINEAR: { /* v += q */
            fa_axpy(n, 1.0, data, v);
            if (with_value) value += fa_dot(n, data, x);
            break;
        }
        case FA_QUADRATIC: { /* v += q + P x */
            if (with_value) {
                fa_zero(n, y);
                fa_multiply(n, kind, far, data + n, x, y);
                value += 0.5 * fa_dot(n, y, x) + fa_dot(n, data, x);
                fa_axpy(n, 1.0, y, v);
                fa_axpy(n, 1.0, data, v);
            } else if (kind & FA_DIAGONAL) {
                const double *P = data + n;
#pragma omp simd
                for (int64_t j = 0; j < n; ++j) v[j] += data[j] + P[j] * x[j];
            } else {
                fa_multiply(n, kind, far, data + n, x, v);
                fa_axpy(n, 1.0, data, v);
            }
            break;
        }
        case FA_LEAST_SQUARES: {
            const int64_t m = problem->objective_rows[b];
            value += fa_least_squares_gradient(n, m, data, data + m, x, v);
            break;
        }
        }
    }
    return value;
}

/* What the constraints of agent i say at x before any multiplier moves. Writes g of the quadratic rows and their
 * gradients, one row of J[n] per block, and norm2 of every block: |J_b|^2 of a quadratic, |diag(omega)^(1/2) G|^2 of
 * affine rows; adds the curvature <theta_i, L_gi> to *l. */
FA_INLINE void fa_constraint_probe(const fa_problem *problem, int64_t n, int64_t i, int far, const double *FA_RESTRICT x,
                                       const double *FA_RESTRICT theta, double *FA_RESTRICT g_quadratic,
                                       double *FA_RESTRICT J, double *FA_RESTRICT norm2, double *FA_RESTRICT y, double *l)
{
    for (int64_t b = problem->constraint_ptr[i], k = 0; b < problem->constraint_ptr[i + 1]; ++b, ++k) {
        const double *data = problem->data + problem->constraint_data[b];
        const int32_t kind = problem->constraint_kind[b];
        double *FA_RESTRICT Jk = J + k * n;
        switch (kind & ~FA_DIAGONAL) {
        case FA_ELLIPSOID: { /* g = (x-c)'P(x-c) - level, J = 2 P (x-c) */
            const double *c = data + 2;
#pragma omp simd
            for (int64_t j = 0; j < n; ++j) {
                y[j] = x[j] - c[j];
                Jk[j] = 0.0;
            }
            fa_multiply(n, kind, far, c + n, y, Jk);
            double value = 0.0, square = 0.0;
#pragma omp simd reduction(+ : value, square)
            for (int64_t j = 0; j < n; ++j) {
                const double half = Jk[j];
                value += y[j] * half;
                square += half * half;
                Jk[j] = 2.0 * half;
            }
            g_quadratic[k] = value - data[0];
            norm2[k] = 4.0 * square;
            *l += theta[problem->constraint_first[b]] * data[1];
            break;
        }
        case FA_QUADRATIC_INEQUALITY: { /* g = x'Px/2 + q'x - r, J = P x + q */
            const double *q = data + 2;
            double value = 0.0, square = 0.0;
            fa_zero(n, Jk);
            fa_multiply(n, kind, far, q + n, x, Jk);
#pragma omp simd reduction(+ : value, square)
            for (int64_t j = 0; j < n; ++j) {
                const double slope = Jk[j] + q[j];
                value += (0.5 * Jk[j] + q[j]) * x[j];
                square += slope * slope;
                Jk[j] = slope;
            }
            g_quadratic[k] = value - data[0];
            norm2[k] = square;
            *l += theta[problem->constraint_first[b]] * data[1];
            break;
        }
        default:
            norm2[k] = data[0];
        }
    }
}

/* Row r of the constraints of agent i at x, in one pass over the data: g_r and where its gradient is.
 * g_quadratic and J come from fa_constraint_probe. */
FA_INLINE double fa_constraint_row(const fa_problem *problem, int64_t n, int64_t b, int64_t k, int64_t r,
                                       const double *FA_RESTRICT x, const double *g_quadratic, const double *J,
                                       const double **gradient)
{
    const int64_t m = problem->constraint_rows[b];
    const int32_t kind = problem->constraint_kind[b];
    if (!fa_is_affine(kind)) {
        *gradient = J + k * n;
        return g_quadratic[k];
    }
    const double *h = problem->data + problem->constraint_data[b] + 1 + m;
    *gradient = h + m + r * n;
    return fa_dot(n, *gradient, x) - h[r];
}

/* theta + rho (proj(theta + step) - theta), kept in the dual cone; NaN stays NaN. */
FA_INLINE double fa_relaxed_dual(double theta, double step, double rho, int equality)
{
    const double least = equality ? -INFINITY : 0.0, moved = theta + step, t = moved < least ? least : moved;
    const double relaxed = theta + rho * (t - theta);
    return relaxed < least ? least : relaxed;
}

/* theta_r <- proj(theta_r + sigma_r (g_r + c (g_r - g_last_r))) and rho times as far, with sigma_r = sigma[block], times
 * omega_r for affine rows when `adaptive`;  g_last <- g,  reaction <- reaction + J'theta. */
FA_INLINE void fa_dual_step(const fa_problem *problem, int64_t n, int64_t i, const double *FA_RESTRICT x,
                                const double *FA_RESTRICT sigma, int adaptive, double c, double rho,
                                const double *FA_RESTRICT g_quadratic, const double *FA_RESTRICT J,
                                double *FA_RESTRICT theta, double *FA_RESTRICT g_last, double *FA_RESTRICT reaction)
{
    for (int64_t b = problem->constraint_ptr[i], k = 0; b < problem->constraint_ptr[i + 1]; ++b, ++k) {
        const int64_t first = problem->constraint_first[b];
        const int equality = problem->constraint_kind[b] == FA_AFFINE_EQUALITY;
        const double *omega = adaptive && fa_is_affine(problem->constraint_kind[b])
                                  ? problem->data + problem->constraint_data[b] + 1
                                  : 0;
        for (int64_t r = 0; r < problem->constraint_rows[b]; ++r) {
            const double *row, g = fa_constraint_row(problem, n, b, k, r, x, g_quadratic, J, &row);
            const double hat = c != 0.0 ? g + c * (g - g_last[first + r]) : g;
            const double step = omega ? sigma[k] * omega[r] : sigma[k];
            theta[first + r] = fa_relaxed_dual(theta[first + r], step * hat, rho, equality);
            g_last[first + r] = g;
            fa_axpy(n, theta[first + r], row, reaction);
        }
    }
}

/* z <- prox_{tau rho_i}(z) */
FA_INLINE void fa_prox(const fa_problem *problem, int64_t n, int64_t i, double tau, double *FA_RESTRICT z)
{
    const int32_t kind = problem->regularizer_kind[i];
    const double *data = fa_regularizer_size(n, kind) > 0 ? problem->data + problem->regularizer_data[i] : 0;
    switch (kind) {
    case FA_L1:
        for (int64_t j = 0; j < n; ++j) {
            const double t = tau * data[j], a = fabs(z[j]) - t;
            z[j] = a > 0.0 || a != a ? copysign(a, z[j]) : 0.0;
        }
        break;
    case FA_BOX:
        for (int64_t j = 0; j < n; ++j) {
            const double low = data[j], high = data[n + j], t = z[j] < low ? low : z[j];
            z[j] = t > high ? high : t;
        }
        break;
    case FA_NONNEGATIVE:
        for (int64_t j = 0; j < n; ++j) z[j] = z[j] < 0.0 ? 0.0 : z[j];
        break;
    case FA_L2_BALL: {
        const double radius = data[0], *c = data + 1;
        double d2 = 0.0;
        for (int64_t j = 0; j < n; ++j) d2 += (z[j] - c[j]) * (z[j] - c[j]);
        if (d2 > radius * radius) {
            const double shrink = radius / sqrt(d2);
            for (int64_t j = 0; j < n; ++j) z[j] = c[j] + shrink * (z[j] - c[j]);
        }
        break;
    }
    default: /* FA_ZERO */
        break;
    }
}

/* 0 when every coordinate of z is finite. */
FA_INLINE int fa_not_finite(int64_t n, const double *FA_RESTRICT z)
{
    double sum = 0.0; /* 0 * infinity and 0 * NaN are NaN */
#pragma omp simd reduction(+ : sum)
    for (int64_t j = 0; j < n; ++j) sum += 0.0 * z[j];
    return sum != 0.0;
}

/* out <- sum_k value_k rows[index_k], each row n long: a row of BX, or a column of B' lambda. */
FA_INLINE void fa_gather(int64_t n, int64_t begin, int64_t end, const int32_t *index, const double *value,
                             const double *FA_RESTRICT rows, double *FA_RESTRICT out)
{
    fa_zero(n, out);
    for (int64_t k = begin; k < end; ++k) fa_axpy(n, value[k], rows + index[k] * n, out);
}

/* The work array by name. */
typedef struct {
    double *v, *reaction, *y, *z, *g, *norm2, *sigma, *J;
} fa_work;

FA_INLINE fa_work fa_slice_work(const fa_problem *problem, double *work)
{
    const int64_t n = problem->dim, blocks = problem->max_blocks;
    double *rest = work + 4 * n;
    const fa_work w = {work, work + n, work + 2 * n, work + 3 * n, rest, rest + blocks, rest + 2 * blocks, rest + 3 * blocks};
    return w;
}

#endif
