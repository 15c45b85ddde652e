/* test/kit/sample.h: objects made from the tables, with every field that there is. */
#ifndef TEST_KIT_SAMPLE_H
#define TEST_KIT_SAMPLE_H

#include "schema/schema.h"

/* An object of the type, every field set to something other than its zero and its default; lists
 * and maps have two entries that differ. Values have the right shape; rules are not obeyed. */
yyjson_mut_val *sample_object(yyjson_mut_doc *doc, const struct schema_type *type);

#endif
