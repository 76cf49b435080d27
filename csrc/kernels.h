/* Internal: the loops, once per instruction set. The file that includes this defines FA_KERNELS, the name of its table,
 * FA_KERNELS_NAME, and FA_SHARE for what is in workers.h; all functions are static, so that nothing is shared between
 * instruction sets. */
#include "dispatch.h"
#include "terms.h"

#include "adapd.h"
#include "anderson.h"
#include "dpda.h"
#include "measure.h"

static int adapd(const fa_problem *problem, const fa_network *network, const fa_adapd_steps *steps, int64_t activations,
                 const int32_t *agents, const fa_adapd_state *state, double *work)
{
    return wake_all_unrolled(problem, network, steps, activations, agents, state, 0, work);
}

const fa_kernels FA_KERNELS = {FA_KERNELS_NAME, adapd, FA_SHARE, dpda, measure, compare, remember, extrapolate};
