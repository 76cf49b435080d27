/* Internal: the loops of one worker among several, once per instruction set, named FA_SHARE by the file that includes this.
 * They have files of their own because a compiler takes as long for them as for all the others. */
#include "dispatch.h"
#include "terms.h"

#include "adapd.h"

int FA_SHARE(const fa_problem *problem, const fa_network *network, const fa_adapd_steps *steps, const fa_share *share,
             int64_t activations, const int32_t *agents, const fa_adapd_state *state, double *work)
{
    const fa_share own = *share; /* not 0, as the compiler can see */
    double *progress = share->progress + FA_LINE * share->worker;
    const double before = fa_load(progress);
    state->counters[1] = 0;
    const int status = wake_all_unrolled(problem, network, steps, activations, agents, state, &own, work);
    fa_store(progress, status == FA_OK ? before + share->pace * (double)state->counters[1] : INFINITY);
    return status;
}
