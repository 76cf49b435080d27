/* Internal: the loops, once per instruction set. The file that includes this defines FA_KERNELS, the name of its table,
 * and FA_KERNELS_NAME; all functions are static, so that nothing is shared between instruction sets. */
#include "dispatch.h"
#include "terms.h"

#include "adapd.h"
#include "anderson.h"
#include "dpda.h"
#include "measure.h"

const fa_kernels FA_KERNELS = {FA_KERNELS_NAME, adapd, adapd_share, dpda, measure, compare, remember, extrapolate};
