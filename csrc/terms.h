/* Internal: what one agent can do with its own terms. Letters as in the paper: f, g, J, rho, theta, tau, sigma. */
#ifndef FASTADAPD_TERMS_H
#define FASTADAPD_TERMS_H

#include "vectors.h"

/* How far ahead memory is asked, in numbers, where a problem does not fit into the cache: `far` is 1 then, and 2 beyond the
 * last cache, from where of many lines asked at once some are lost: they are asked twice. */
enum { FA_AHEAD = 1024 };

/* Numbers of a symmetric matrix by halves; panels hold the squares on their diagonal whole. */
FA_INLINE int64_t fa_half_size(int64_t n)
{
    const int64_t rest = n % FA_PANEL;
    return (n * (n + 1) + (n - rest) * (FA_PANEL - 1) + rest * (rest - 1)) / 2;
}

/* While so many numbers at p are read, ask for as many FA_AHEAD further on, if they are among those left. */
FA_INLINE void fa_ask_ahead(int64_t count, int64_t left, int far, const double *p)
{
    for (int64_t k = FA_AHEAD; k < FA_AHEAD + count && k < left; k += far > 1 ? 4 : 8) FA_PREFETCH(p + k);
}

/* y <- y + P x for a symmetric P by halves: a panel is read once, as columns for the y below it and, by symmetry, as rows
 * for its own y. */
FA_INLINE void fa_symmetric_multiply(int64_t n, int far, const double *FA_RESTRICT P, const double *FA_RESTRICT x,
                                     double *FA_RESTRICT y)
{
    int64_t j = 0, left = fa_half_size(n); /* numbers from here on */
    for (; j + FA_PANEL <= n; j += FA_PANEL) {
        const int64_t m = n - j;
        if (far) fa_ask_ahead(FA_PANEL * m, left, far, P);
        const double *FA_RESTRICT p = P, *FA_RESTRICT q = P + m, *FA_RESTRICT r = q + m, *FA_RESTRICT t = r + m;
        const double *FA_RESTRICT xj = x + j;
        double *FA_RESTRICT yj = y + j;
        const fa_four x0 = FA_SPREAD4(xj[0]), x1 = FA_SPREAD4(xj[1]), x2 = FA_SPREAD4(xj[2]), x3 = FA_SPREAD4(xj[3]);
        fa_four s0 = FA_SPREAD4(0.0), s1 = s0, s2 = s0, s3 = s0;
        int64_t k = FA_PANEL;
        for (; k + 4 <= m; k += 4) {
            const fa_four p0 = FA_LOAD4(p + k), p1 = FA_LOAD4(q + k), p2 = FA_LOAD4(r + k), p3 = FA_LOAD4(t + k);
            const fa_four xk = FA_LOAD4(xj + k), here = FA_MADD4(FA_MUL4(x0, p0), x1, p1);
            FA_STORE4(yj + k, FA_ADD4(FA_LOAD4(yj + k), FA_ADD4(here, FA_MADD4(FA_MUL4(x2, p2), x3, p3))));
            s0 = FA_MADD4(s0, xk, p0);
            s1 = FA_MADD4(s1, xk, p1);
            s2 = FA_MADD4(s2, xk, p2);
            s3 = FA_MADD4(s3, xk, p3);
        }
        fa_four own;
        fa_sums(&s0, &s1, &s2, &s3, &own);
        for (; k < m; ++k) {
            const double column[4] = {p[k], q[k], r[k], t[k]};
            yj[k] += (xj[0] * p[k] + xj[1] * q[k]) + (xj[2] * r[k] + xj[3] * t[k]);
            own = FA_MADD4(own, FA_SPREAD4(xj[k]), FA_LOAD4(column));
        }
        const fa_four left_half = FA_MADD4(FA_MUL4(x0, FA_LOAD4(p)), x1, FA_LOAD4(q));
        const fa_four right_half = FA_MADD4(FA_MUL4(x2, FA_LOAD4(r)), x3, FA_LOAD4(t));
        FA_STORE4(yj, FA_ADD4(FA_LOAD4(yj), FA_ADD4(FA_ADD4(left_half, right_half), own)));
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
FA_INLINE double fa_least_squares_gradient(int64_t n, int64_t m, int far, const double *FA_RESTRICT b,
                                           const double *FA_RESTRICT A, const double *FA_RESTRICT x, double *FA_RESTRICT v)
{
    double value = 0.0;
    int64_t r = 0;
    for (; r + 4 <= m; r += 4, A += 4 * n) {
        if (far) fa_ask_ahead(4 * n, (m - r) * n, far, A);
        fa_four s0 = FA_SPREAD4(0.0), s1 = s0, s2 = s0, s3 = s0;
        int64_t j = 0;
        for (; j + 4 <= n; j += 4) {
            const fa_four xj = FA_LOAD4(x + j);
            s0 = FA_MADD4(s0, FA_LOAD4(A + j), xj);
            s1 = FA_MADD4(s1, FA_LOAD4(A + n + j), xj);
            s2 = FA_MADD4(s2, FA_LOAD4(A + 2 * n + j), xj);
            s3 = FA_MADD4(s3, FA_LOAD4(A + 3 * n + j), xj);
        }
        fa_four e;
        fa_sums(&s0, &s1, &s2, &s3, &e);
        for (; j < n; ++j) {
            const double column[4] = {A[j], A[n + j], A[2 * n + j], A[3 * n + j]};
            e = FA_MADD4(e, FA_SPREAD4(x[j]), FA_LOAD4(column));
        }
        e = FA_SUB4(e, FA_LOAD4(b + r));
        const double e0 = FA_AT4(e, 0), e1 = FA_AT4(e, 1), e2 = FA_AT4(e, 2), e3 = FA_AT4(e, 3);
#pragma omp simd
        for (j = 0; j < n; ++j) v[j] += (e0 * A[j] + e1 * A[n + j]) + (e2 * A[2 * n + j] + e3 * A[3 * n + j]);
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
    return kind >= FA_AFFINE_INEQUALITY && kind <= FA_SOFT_EQUALITY;
}

/* Numbers of the symmetric matrix of a quadratic of this kind. */
FA_INLINE int64_t fa_matrix_size(int64_t n, int32_t kind)
{
    return kind & FA_DIAGONAL ? n : fa_half_size(n);
}

/* Numbers of a block that its gradient needs. */
FA_INLINE int64_t fa_objective_size(const fa_problem *problem, int64_t n, int64_t b)
{
    const int32_t kind = problem->objective_kind[b];
    if (kind == FA_LEAST_SQUARES) return problem->objective_rows[b] * (1 + n);
    return n + (kind == FA_LINEAR ? 0 : fa_matrix_size(n, kind));
}

FA_INLINE int64_t fa_constraint_size(const fa_problem *problem, int64_t n, int64_t b)
{
    const int32_t kind = problem->constraint_kind[b];
    if (fa_is_affine(kind)) return 1 + problem->constraint_rows[b] * ((kind == FA_SOFT_EQUALITY ? 3 : 2) + n);
    return 2 + n + fa_matrix_size(n, kind);
}

/* Numbers of a regularizer. */
FA_INLINE int64_t fa_regularizer_size(int64_t n, int32_t kind)
{
    return kind == FA_L1 ? n : kind == FA_BOX ? 2 * n : kind == FA_L2_BALL ? 1 + n : 0;
}

/* The agent whose lists tell of agent i. */
FA_INLINE int64_t fa_like(const fa_problem *problem, int64_t i)
{
    return problem->alike ? 0 : i;
}

/* What agent i has where agent fa_like(i) has its data at this place. */
FA_INLINE const double *fa_data(const fa_problem *problem, int64_t i, int64_t at)
{
    return problem->data + at + (problem->alike && at >= problem->own_begin ? i * problem->own_size : 0);
}

/* b and A of block b of agent i, of FA_GRAM. */
FA_INLINE const double *fa_values(const fa_problem *problem, int64_t i, int64_t b)
{
    const int64_t at = problem->objective_values[b];
    return problem->data + at + (problem->alike && at >= problem->values_begin ? i * problem->values_size : 0);
}

/* The first row in theta of block b of agent i. */
FA_INLINE int64_t fa_first(const fa_problem *problem, int64_t i, int64_t b)
{
    return problem->constraint_first[b] + (problem->alike ? i * problem->own_rows : 0);
}

/* v <- v + grad f_i(x); returns f_i(x) when `with_value`, else 0. y[n] is work. */
FA_INLINE double fa_objective_gradient(const fa_problem *problem, int64_t n, int64_t i, int far, const double *FA_RESTRICT x,
                                       double *FA_RESTRICT v, double *FA_RESTRICT y, int with_value)
{
    const int64_t like = fa_like(problem, i);
    double value = 0.0;
    for (int64_t b = problem->objective_ptr[like]; b < problem->objective_ptr[like + 1]; ++b) {
        const double *data = fa_data(problem, i, problem->objective_data[b]);
        int32_t kind = problem->objective_kind[b];
        if (kind & FA_GRAM) { /* the gradient is A'A x - A'b, that of a quadratic */
            kind = with_value ? FA_LEAST_SQUARES : FA_QUADRATIC;
            if (with_value) data = fa_values(problem, i, b);
        }
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
        case FA_LEAST_SQUARES: { /* v += A'(Ax - b) */
            const int64_t m = problem->objective_rows[b];
            if (kind & FA_DIAGONAL) {
                const double *A = data + n;
#pragma omp simd
                for (int64_t j = 0; j < n; ++j) v[j] += A[j] * (A[j] * x[j] - data[j]);
                for (int64_t j = 0; with_value && j < n; ++j) {
                    const double e = A[j] * x[j] - data[j];
                    value += 0.5 * e * e;
                }
                break;
            }
            value += fa_least_squares_gradient(n, m, far, data, data + m, x, v);
            break;
        }
        }
    }
    return value;
}

/* g of a quadratic of this kind at x; its gradient goes into J[n], and its norm squared into *square. y[n] is work. */
FA_INLINE double fa_quadratic(int64_t n, int32_t kind, const double *data, int far, const double *FA_RESTRICT x,
                              double *FA_RESTRICT y, double *FA_RESTRICT J, double *square)
{
    const double *p = data + 2;
    if ((kind & ~FA_DIAGONAL) == FA_ELLIPSOID) { /* g = (x-c)'P(x-c) - level, J = 2 P (x-c) */
#pragma omp simd
        for (int64_t j = 0; j < n; ++j) {
            y[j] = x[j] - p[j];
            J[j] = 0.0;
        }
        fa_multiply(n, kind, far, p + n, y, J);
        const double value = fa_dot(n, y, J);
#pragma omp simd
        for (int64_t j = 0; j < n; ++j) J[j] *= 2.0;
        *square = fa_dot(n, J, J);
        return value - data[0];
    }
    /* g = x'Px/2 + q'x - r, J = P x + q */
#pragma omp simd
    for (int64_t j = 0; j < n; ++j) J[j] = p[j];
    fa_multiply(n, kind, far, p + n, x, J);
    *square = fa_dot(n, J, J);
    return 0.5 * (fa_dot(n, J, x) + fa_dot(n, p, x)) - data[0];
}

/* theta + rho (proj(theta + step) - theta), kept in the dual cone; NaN stays NaN. */
FA_INLINE double fa_relaxed_dual(double theta, double step, double rho, int equality)
{
    const double least = equality ? -INFINITY : 0.0, moved = theta + step, t = moved < least ? least : moved;
    const double relaxed = theta + rho * (t - theta);
    return relaxed < least ? least : relaxed;
}

/* One row r: theta <- proj(theta + step (g + c (g - g_last))) and rho times as far;  g_last <- g and
 * reaction <- reaction + theta J_r. The step is 0 where J_r is: an inequality that is not active there has multiplier 0.
 * A row that gives way takes the proximal step, from g - compliance theta. */
FA_INLINE void fa_dual_row(int64_t n, double g, double step, double c, double rho, int equality, double compliance,
                           const double *FA_RESTRICT row, double *FA_RESTRICT theta, double *FA_RESTRICT g_last,
                           double *FA_RESTRICT reaction)
{
    double hat = c != 0.0 ? g + c * (g - *g_last) : g;
    if (compliance != 0.0) {
        hat -= compliance * *theta;
        step /= 1.0 + step * compliance;
    }
    const double t = step == 0.0 && !equality && g < 0.0 ? 0.0 : fa_relaxed_dual(*theta, step * hat, rho, equality);
    *theta = t;
    *g_last = g;
    fa_axpy(n, t, row, reaction);
}

/* The dual step of all rows of agent i at x: step = sigma, but where `adaptive` every block gets an equal share of it, over
 * |J_b|^2 for a quadratic, omega_r over |diag(omega)^(1/2) G|^2 for affine rows. Returns the curvature <theta_i, L_gi>, of
 * theta as it was. y[n] and J[n] are work. */
FA_INLINE double fa_dual_step(const fa_problem *problem, int64_t n, int64_t i, int far, const double *FA_RESTRICT x,
                              double sigma, int adaptive, double c, double rho, double *FA_RESTRICT y,
                              double *FA_RESTRICT J, double *FA_RESTRICT theta, double *FA_RESTRICT g_last,
                              double *FA_RESTRICT reaction)
{
    const int64_t like = fa_like(problem, i);
    const int64_t begin = problem->constraint_ptr[like], end = problem->constraint_ptr[like + 1];
    const double blocks = (double)(end - begin);
    double curvature = 0.0;
    for (int64_t b = begin; b < end; ++b) {
        const double *data = fa_data(problem, i, problem->constraint_data[b]);
        const int64_t first = fa_first(problem, i, b);
        const int32_t kind = problem->constraint_kind[b];
        if (fa_is_affine(kind)) {
            const int64_t m = problem->constraint_rows[b];
            const double *omega = data + 1, *level = omega + m, *row = level + m;
            const double step = !adaptive ? sigma : data[0] > 0.0 ? sigma / (blocks * data[0]) : 0.0;
            const double *compliance = kind == FA_SOFT_EQUALITY ? row + m * n : 0;
            for (int64_t r = 0; r < m; ++r, row += n)
                fa_dual_row(n, fa_dot(n, row, x) - level[r], adaptive ? step * omega[r] : step, c, rho,
                            kind != FA_AFFINE_INEQUALITY, compliance ? compliance[r] : 0.0, row, theta + first + r,
                            g_last + first + r, reaction);
        } else {
            double square;
            const double g = fa_quadratic(n, kind, data, far, x, y, J, &square);
            const double step = !adaptive ? sigma : square > 0.0 ? sigma / (blocks * square) : 0.0;
            curvature += theta[first] * data[1];
            fa_dual_row(n, g, step, c, rho, 0, 0.0, J, theta + first, g_last + first, reaction);
        }
    }
    return curvature;
}

/* z <- prox_{tau rho_i}(z) */
FA_INLINE void fa_prox(const fa_problem *problem, int64_t n, int64_t i, double tau, double *FA_RESTRICT z)
{
    const int64_t like = fa_like(problem, i);
    const int32_t kind = problem->regularizer_kind[like];
    const double *data = fa_regularizer_size(n, kind) > 0 ? fa_data(problem, i, problem->regularizer_data[like]) : 0;
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

/* The work array by name: FA_WORKS vectors. */
typedef struct {
    double *v, *reaction, *y, *z, *J, *pull, *at;
} fa_work;

FA_INLINE fa_work fa_slice_work(int64_t n, double *work)
{
    const fa_work w = {work, work + n, work + 2 * n, work + 3 * n, work + 4 * n, work + 5 * n, work + 6 * n};
    return w;
}

#endif
