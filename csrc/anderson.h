/* Internal: fa_compare, fa_remember and fa_extrapolate. */

enum { FA_COLUMNS = 2048 }; /* at a time of many rows, so that what they all meet stays in the first cache */

static int compare(const fa_memory *memory, const double *point, const double *image, const double *last, double *residual,
                   double *lengths)
{
    const int64_t m = memory->looked_at;
    const double *scale = memory->scale;
    fa_four sums[FA_COMPARISONS] = {FA_SPREAD4(0.0), FA_SPREAD4(0.0), FA_SPREAD4(0.0)};
    double squares[FA_COMPARISONS];
    int64_t j = 0;
    for (; j + 4 <= m; j += 4) {
        const fa_four s = FA_LOAD4(scale + j), y = FA_LOAD4(image + j), extent = FA_MUL4(y, s);
        const fa_four r = FA_MUL4(FA_SUB4(y, FA_LOAD4(point + j)), s);
        fa_four change = r;
        if (last) change = FA_SUB4(r, FA_LOAD4(last + j));
        FA_STORE4(residual + j, r);
        sums[FA_MOVEMENT] = FA_MADD4(sums[FA_MOVEMENT], r, r);
        sums[FA_EXTENT] = FA_MADD4(sums[FA_EXTENT], extent, extent);
        sums[FA_CHANGE] = FA_MADD4(sums[FA_CHANGE], change, change);
    }
    for (int k = 0; k < FA_COMPARISONS; ++k) squares[k] = FA_SUM4(sums[k]);
    for (; j < m; ++j) {
        const double r = (image[j] - point[j]) * scale[j], extent = image[j] * scale[j];
        const double change = last ? r - last[j] : r;
        residual[j] = r;
        squares[FA_MOVEMENT] += r * r;
        squares[FA_EXTENT] += extent * extent;
        squares[FA_CHANGE] += change * change;
    }
    for (int k = 0; k < FA_COMPARISONS; ++k) lengths[k] = sqrt(squares[k]);
    return FA_OK;
}

/* Of a vector in single or, if that is NULL, in double precision: four numbers from j on, and number j. */
FA_INLINE fa_four four_of(const float *single, const double *x, int64_t j)
{
    if (single) return FA_LOAD4_SINGLE(single + j);
    return FA_LOAD4(x + j);
}

FA_INLINE double one_of(const float *single, const double *x, int64_t j)
{
    return single ? (double)single[j] : x[j];
}

/* out_k <- out_k + the product of row k, of which there are `count`, with such a vector, over columns first .. end - 1. */
FA_INLINE void add_products(int64_t m, int64_t first, int64_t end, int64_t count, const float *rows, const float *single,
                            const double *x, double *out)
{
    int64_t k = 0;
    for (; k + 4 <= count; k += 4) {
        const float *a = rows + k * m, *b = a + m, *c = b + m, *d = c + m;
        fa_four sa = FA_SPREAD4(0.0), sb = sa, sc = sa, sd = sa, sums;
        int64_t j = first;
        for (; j + 4 <= end; j += 4) {
            const fa_four v = four_of(single, x, j);
            sa = FA_MADD4(sa, FA_LOAD4_SINGLE(a + j), v);
            sb = FA_MADD4(sb, FA_LOAD4_SINGLE(b + j), v);
            sc = FA_MADD4(sc, FA_LOAD4_SINGLE(c + j), v);
            sd = FA_MADD4(sd, FA_LOAD4_SINGLE(d + j), v);
        }
        fa_sums(&sa, &sb, &sc, &sd, &sums);
        FA_STORE4(out + k, FA_ADD4(FA_LOAD4(out + k), sums));
        for (; j < end; ++j)
            for (int64_t r = 0; r < 4; ++r) out[k + r] += a[r * m + j] * one_of(single, x, j);
    }
    for (; k < count; ++k) {
        const float *a = rows + k * m;
        fa_four s = FA_SPREAD4(0.0);
        int64_t j = first;
        for (; j + 4 <= end; j += 4) s = FA_MADD4(s, FA_LOAD4_SINGLE(a + j), four_of(single, x, j));
        out[k] += FA_SUM4(s);
        for (; j < end; ++j) out[k] += a[j] * one_of(single, x, j);
    }
}

/* out_k <- the product of row k with such a vector. */
FA_INLINE void products(const fa_memory *memory, int64_t count, const float *single, const double *x, double *out)
{
    const int64_t m = memory->looked_at;
    fa_zero(count, out);
    for (int64_t first = 0; first < m; first += FA_COLUMNS)
        add_products(m, first, first + FA_COLUMNS < m ? first + FA_COLUMNS : m, count, memory->residuals, single, x, out);
}

static int remember(const fa_memory *memory, int64_t slot, int64_t used, double length, const double *residual,
                    const double *last, const double *image, const double *last_image)
{
    const int64_t m = memory->looked_at, c = memory->capacity, rest = memory->size - m;
    const double inverse = 1.0 / length;
    float *change = memory->residuals + slot * m, *moved = memory->images + slot * m;
    double *row = memory->gram + slot * c, along;
    fa_four sum = FA_SPREAD4(0.0);
    int64_t j = 0;
    for (; j + 4 <= m; j += 4) {
        const fa_four r = FA_LOAD4(residual + j), exact = FA_MUL4(FA_SUB4(r, FA_LOAD4(last + j)), FA_SPREAD4(inverse));
        sum = FA_MADD4(sum, exact, r);
    }
    along = FA_SUM4(sum);
    for (; j < m; ++j) along += (residual[j] - last[j]) * inverse * residual[j];
    for (j = 0; j < m; ++j) change[j] = (float)((residual[j] - last[j]) * inverse);
    for (j = 0; j < m; ++j) moved[j] = (float)((image[j] - last_image[j]) * inverse * memory->units[j]);
    for (j = 0; j < rest; ++j) memory->tails[slot * rest + j] = (image[m + j] - last_image[m + j]) * inverse;

    products(memory, used, change, 0, row);
    for (int64_t k = 0; k < used; ++k) memory->toward[k] += length * row[k];
    memory->toward[slot] = along;
    row[slot] += memory->regularization;
    for (int64_t k = 0; k < used; ++k) memory->gram[k * c + slot] = row[k];
    return FA_OK;
}

/* gamma <- gram^-1 toward / norm, by Cholesky's factors. Where there are none gamma is not a number. */
static void solve(const fa_memory *memory, int64_t used, double norm)
{
    const int64_t c = memory->capacity;
    double *L = memory->factor, *gamma = memory->gamma;
    for (int64_t i = 0; i < used; ++i) {
        double *row = L + i * c, left;
        for (int64_t j = 0; j < i; ++j) row[j] = (memory->gram[i * c + j] - fa_dot(j, row, L + j * c)) * L[j * c + j];
        left = memory->gram[i * c + i] - fa_dot(i, row, row);
        row[i] = 1.0 / sqrt(left); /* the inverse */
        gamma[i] = (memory->toward[i] / norm - fa_dot(i, row, gamma)) * row[i];
    }
    for (int64_t i = used - 1; i >= 0; --i) {
        gamma[i] *= L[i * c + i];
        fa_axpy(i, -gamma[i], L + i * c, gamma);
    }
}

/* y <- sum_k gamma_k row_k, over n columns from `first` on. */
FA_INLINE void combine(int64_t m, int64_t first, int64_t n, int64_t count, const double *gamma, const float *rows,
                       double *FA_RESTRICT y)
{
    int64_t k = 0;
    fa_zero(n, y);
    for (; k + 4 <= count; k += 4) {
        const float *a = rows + k * m + first, *b = a + m, *c = b + m, *d = c + m;
        const fa_four ga = FA_SPREAD4(gamma[k]), gb = FA_SPREAD4(gamma[k + 1]), gc = FA_SPREAD4(gamma[k + 2]),
                      gd = FA_SPREAD4(gamma[k + 3]);
        int64_t j = 0;
        for (; j + 4 <= n; j += 4) {
            fa_four s = FA_LOAD4(y + j);
            s = FA_MADD4(s, ga, FA_LOAD4_SINGLE(a + j));
            s = FA_MADD4(s, gb, FA_LOAD4_SINGLE(b + j));
            s = FA_MADD4(s, gc, FA_LOAD4_SINGLE(c + j));
            FA_STORE4(y + j, FA_MADD4(s, gd, FA_LOAD4_SINGLE(d + j)));
        }
        for (; j < n; ++j)
            for (int64_t r = 0; r < 4; ++r) y[j] += gamma[k + r] * a[r * m + j];
    }
    for (; k < count; ++k) {
        const float *a = rows + k * m + first;
#pragma omp simd
        for (int64_t j = 0; j < n; ++j) y[j] += gamma[k] * a[j];
    }
}

static int extrapolate(const fa_memory *memory, int64_t used, double norm, const double *residual, double *move,
                       double *length)
{
    const int64_t m = memory->looked_at, rest = memory->size - m;
    const double *gamma = memory->gamma;
    double sum = 0.0;
    if (residual) products(memory, used, 0, residual, memory->toward);
    solve(memory, used, norm);
    for (int64_t first = 0; first < m; first += FA_COLUMNS) {
        const int64_t n = first + FA_COLUMNS < m ? FA_COLUMNS : m - first;
        const double *units = memory->units + first;
        double *FA_RESTRICT y = move + first;
        combine(m, first, n, used, gamma, memory->images, y);
        sum += fa_dot(n, y, y);
#pragma omp simd
        for (int64_t j = 0; j < n; ++j) y[j] = y[j] / units[j] * norm;
    }
    fa_zero(rest, move + m);
    for (int64_t k = 0; k < used; ++k) fa_axpy(rest, gamma[k] * norm, memory->tails + k * rest, move + m);
    *length = norm * sqrt(sum);
    return FA_OK;
}
