/* sim/deeds.c: see deeds.h. */
#include "sim/deeds.h"

#include "base/check.h"

const char *sim_deed_name(enum sim_deed deed)
{
    static const char *const names[] = {
#define X(id, name) name,
        SIM_DEEDS(X)
#undef X
    };
    assert(deed < SIM_DEED_COUNT);
    return names[deed];
}
