/* codec/object_tree.h: the document of a version made of the tree that its body was written from,
 * so that nobody has to parse what was just serialised. Internal to codec/object.c. */
#ifndef CODEC_OBJECT_TREE_H
#define CODEC_OBJECT_TREE_H

#include <yyjson.h>

#include "base/span.h"

/* A document as json_pack() makes it. json: the version's text, which is the tree's but for the
 * resourceVersion in front of the other members of metadata. managed: the part of json that is
 * metadata.managedFields, which the raw value of that name points to; empty when there is none.
 * NULL when the tree has no metadata, or other raw values: parts that are not taken apart. */
yyjson_doc *object_tree(const yyjson_mut_val *root, struct span json, struct span managed);

#endif
