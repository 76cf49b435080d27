#define FA_LOOPS "workers.h"
#include "baseline.h"
