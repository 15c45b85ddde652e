/* apiserver/selection.h: label and field selectors of one request, compiled once, as a
 * watch_filter. */
#ifndef APISERVER_SELECTION_H
#define APISERVER_SELECTION_H

#include "apiserver/op.h"
#include "watch/watch.h"

struct selection;

/* Fills op->selection (released by api_op_release or selection_done). ERR_BAD_REQUEST for a
 * malformed selector or a field key that the kind does not have. Returns 0, or -1 with op->err. */
int selection_new(struct api_op *op);
void selection_done(struct selection *sel);
/* Valid as long as the selection. */
const struct watch_filter *selection_filter(const struct selection *sel);
bool selection_matches(struct selection *sel, struct object *o);

#endif
