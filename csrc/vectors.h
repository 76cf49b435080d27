/* Internal: vectors of n numbers, and single numbers that threads share. */
#ifndef FASTADAPD_VECTORS_H
#define FASTADAPD_VECTORS_H

#include <float.h>
#include <math.h>

#include "dispatch.h"
#if defined(FA_WIDE) && defined(__x86_64__)
#include <immintrin.h>
#endif

#if defined(_MSC_VER)
#define FA_RESTRICT __restrict
#define FA_INLINE static __forceinline
#define FA_PREFETCH(address) ((void)(address))
#define FA_LIKELY(condition) (condition)
#else
#define FA_RESTRICT restrict
#define FA_INLINE static inline __attribute__((always_inline))
#define FA_PREFETCH(address) __builtin_prefetch(address)
#define FA_LIKELY(condition) __builtin_expect(!!(condition), 1)
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

/* Functions take n, the number of coordinates, by itself: where it is a literal, loops are unrolled. */

/* Four numbers side by side. Sums are kept by fours, so that every machine adds up in the same order. FA_WIDE says that a
 * register holds four, FA_PLAIN_FOURS asks for plain C, as for other compilers. */
#if (defined(__GNUC__) || defined(__clang__)) && !defined(FA_PLAIN_FOURS)
#define FA_VECTOR(bytes) __attribute__((vector_size(bytes), aligned(8), may_alias))
#ifdef FA_WIDE
typedef double fa_four FA_VECTOR(32);
#define FA_LOAD4(p) (*(const fa_four *)(p))
#define FA_STORE4(p, a) ((void)(*(fa_four *)(p) = (a)))
#define FA_SPREAD4(x) ((fa_four){(x), (x), (x), (x)})
#define FA_ADD4(a, b) ((a) + (b))
#define FA_SUB4(a, b) ((a) - (b))
#define FA_MUL4(a, b) ((a) * (b))
#define FA_AT4(a, k) ((a)[k])
#ifdef __has_builtin
#if __has_builtin(__builtin_shufflevector)
#define FA_HAS_SHUFFLE
#endif
#endif
#ifdef __x86_64__ /* where GCC converts a vector by halves, and plain C number by number */
#define FA_LOAD4_SINGLE(p) ((fa_four)_mm256_cvtps_pd(_mm_loadu_ps(p)))
#endif
#else
typedef double fa_two FA_VECTOR(16);
typedef struct {
    fa_two low, high;
} fa_four;
FA_INLINE fa_four FA_LOAD4(const double *p)
{
    const fa_four r = {*(const fa_two *)p, *(const fa_two *)(p + 2)};
    return r;
}
FA_INLINE void FA_STORE4(double *p, fa_four a)
{
    *(fa_two *)p = a.low;
    *(fa_two *)(p + 2) = a.high;
}
FA_INLINE fa_four FA_SPREAD4(double x)
{
    const fa_four r = {{x, x}, {x, x}};
    return r;
}
#define FA_EACH4(name, op)                        \
    FA_INLINE fa_four name(fa_four a, fa_four b)  \
    {                                             \
        a.low = a.low op b.low;                   \
        a.high = a.high op b.high;                \
        return a;                                 \
    }
#define FA_AT4(a, k) ((k) < 2 ? (a).low[(k) & 1] : (a).high[(k) & 1])
#endif
#else
typedef struct {
    double at[4];
} fa_four;
FA_INLINE fa_four FA_LOAD4(const double *p)
{
    const fa_four r = {{p[0], p[1], p[2], p[3]}};
    return r;
}
FA_INLINE void FA_STORE4(double *p, fa_four a)
{
    for (int k = 0; k < 4; ++k) p[k] = a.at[k];
}
FA_INLINE fa_four FA_SPREAD4(double x)
{
    const fa_four r = {{x, x, x, x}};
    return r;
}
#define FA_EACH4(name, op)                                            \
    FA_INLINE fa_four name(fa_four a, fa_four b)                      \
    {                                                                 \
        for (int k = 0; k < 4; ++k) a.at[k] = a.at[k] op b.at[k];     \
        return a;                                                     \
    }
#define FA_AT4(a, k) ((a).at[k])
#endif
#ifdef FA_EACH4
FA_EACH4(FA_ADD4, +)
FA_EACH4(FA_SUB4, -)
FA_EACH4(FA_MUL4, *)
#endif
#ifndef FA_LOAD4_SINGLE
FA_INLINE fa_four FA_LOAD4_SINGLE(const float *p)
{
    const double wide[4] = {p[0], p[1], p[2], p[3]};
    return FA_LOAD4(wide);
}
#endif
/* s + a b */
#define FA_MADD4(s, a, b) FA_ADD4(s, FA_MUL4(a, b))
#define FA_SUM4(a) ((FA_AT4(a, 0) + FA_AT4(a, 1)) + (FA_AT4(a, 2) + FA_AT4(a, 3)))

/* {sum of a, sum of b, sum of c, sum of d} */
FA_INLINE void fa_sums(const fa_four *a, const fa_four *b, const fa_four *c, const fa_four *d, fa_four *sums)
{
#ifdef FA_HAS_SHUFFLE
    const fa_four ab = __builtin_shufflevector(*a, *b, 0, 4, 2, 6) + __builtin_shufflevector(*a, *b, 1, 5, 3, 7);
    const fa_four cd = __builtin_shufflevector(*c, *d, 0, 4, 2, 6) + __builtin_shufflevector(*c, *d, 1, 5, 3, 7);
    *sums = __builtin_shufflevector(ab, cd, 0, 1, 4, 5) + __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
#else
    const double each[4] = {FA_SUM4(*a), FA_SUM4(*b), FA_SUM4(*c), FA_SUM4(*d)};
    *sums = FA_LOAD4(each);
#endif
}

FA_INLINE double fa_dot(int64_t n, const double *FA_RESTRICT a, const double *FA_RESTRICT b)
{
    fa_four s = FA_SPREAD4(0.0);
    int64_t j = 0;
    for (; j + 4 <= n; j += 4) s = FA_MADD4(s, FA_LOAD4(a + j), FA_LOAD4(b + j));
    double sum = FA_SUM4(s);
    for (; j < n; ++j) sum += a[j] * b[j];
    return sum;
}

FA_INLINE double fa_larger(double a, double b)
{
    return a > b || a != a ? a : b;
}

/* |x|, also where the squares of its entries would overflow or underflow. */
FA_INLINE double fa_norm(int64_t n, const double *x)
{
    const double sum = fa_dot(n, x, x);
    double most = 0.0, scaled = 0.0;
    if (sum > 1e-280 && sum < 1e280) return sqrt(sum);
    for (int64_t j = 0; j < n; ++j) most = fa_larger(fabs(x[j]), most);
    if (!(most > 0.0 && most < INFINITY)) return most;
    for (int64_t j = 0; j < n; ++j) scaled += (x[j] / most) * (x[j] / most);
    return most * sqrt(scaled);
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

/* 0 when every coordinate of z is finite. */
FA_INLINE int fa_not_finite(int64_t n, const double *FA_RESTRICT z)
{
    fa_four s = FA_SPREAD4(0.0); /* 0 * infinity and 0 * NaN are NaN */
    int64_t j = 0;
    for (; j + 4 <= n; j += 4) s = FA_MADD4(s, FA_SPREAD4(0.0), FA_LOAD4(z + j));
    double sum = FA_SUM4(s);
    for (; j < n; ++j) sum += 0.0 * z[j];
    return sum != 0.0;
}

/* out <- sum_k value_k rows[index_k], each row n long: a row of BX, say. */
FA_INLINE void fa_gather(int64_t n, int64_t begin, int64_t end, const int32_t *index, const double *value,
                             const double *FA_RESTRICT rows, double *FA_RESTRICT out)
{
    fa_zero(n, out);
    for (int64_t k = begin; k < end; ++k) fa_axpy(n, value[k], rows + index[k] * n, out);
}

/* out <- sum_r B_ri rows_r, for agent i. */
FA_INLINE void fa_gather_column(const fa_network *network, int64_t n, int64_t i, const double *FA_RESTRICT rows,
                                double *FA_RESTRICT out)
{
    const int64_t begin = network->column_ptr[i], end = network->column_ptr[i + 1];
    if (!network->same_values) {
        fa_gather(n, begin, end, network->column_row, network->column_value, rows, out);
        return;
    }
    fa_zero(n, out);
    for (int64_t k = begin; k < end; ++k)
        fa_axpy(n, network->row_value[i > network->neighbour[k]], rows + network->column_row[k] * n, out);
}

#endif
