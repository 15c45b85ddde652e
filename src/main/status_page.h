/* main/status_page.h: what `berth status` prints, made of the API's lists. Pure. */
#ifndef MAIN_STATUS_PAGE_H
#define MAIN_STATUS_PAGE_H

#include <yyjson.h>

#include "base/arena.h"
#include "base/span.h"

struct status_world {
    yyjson_val *nodes, *sets, *pods, *claims, *events; /* items of the lists */
};

struct status_view {
    struct span ns, set; /* of this set only; set empty: everything */
    size_t width;        /* lines are broken at blanks to stay within; 0: never */
};

/* The set is not in the list: false. */
bool status_has_set(const struct status_world *w, const struct status_view *view);
/* Lines, each with its newline. */
struct span status_page(struct arena *a, const struct status_world *w,
                        const struct status_view *view);

#endif
