/* codec/object_tree.h: the document of a version made of the tree that its body was written from.
 * Internal to codec/object.c. */
#ifndef CODEC_OBJECT_TREE_H
#define CODEC_OBJECT_TREE_H

#include "codec/object.h"

/* Of the tree, metadata.managedFields, when they are the first member of metadata; else NULL. */
const yyjson_val *object_tree_managed(const struct object_body *body);
/* A document as json_pack() makes it. json: the version's text, which is the body's but for the
 * spliced part of it, the resourceVersion. managed: the part of json that is what
 * object_tree_managed() found. NULL when that is no raw value, or another value is: a part that is
 * not taken apart. */
yyjson_doc *object_tree(const struct object_body *body, struct span json, struct span splice,
                        struct span managed);

#endif
