/* managed/fieldset_text.h: sets of fields as the text in which they are stored (FieldsV1).
 *
 * Most writes leave most sets as they are. These functions answer from the text whether that is so,
 * and write sets without a document in between. A text is well-formed JSON that fieldset_put() (or
 * an earlier version of it) wrote: one form for one set. */
#ifndef MANAGED_FIELDSET_TEXT_H
#define MANAGED_FIELDSET_TEXT_H

#include "managed/fieldset.h"

/* Text that grows in an arena. {.a = arena} is empty. Dropping what was added last is setting n
 * back. */
struct fieldset_text {
    struct arena *a;
    char *p;
    size_t n, cap;
};

void fieldset_text_grow(struct fieldset_text *t, size_t n);

static inline void fieldset_text_put(struct fieldset_text *t, struct span s)
{
    if (t->cap - t->n < s.n) {
        fieldset_text_grow(t, s.n);
    }
    span_copy_short(t->p + t->n, s.p, s.n);
    t->n += s.n;
}

/* What stands between the quotes of a JSON string. */
void fieldset_text_put_quoted(struct fieldset_text *t, struct span s);
/* `"f:name":`, the key of an element with its colon. */
void fieldset_text_put_key(struct fieldset_text *t, const struct fieldset_elem *e);
/* The whole set: an object. */
void fieldset_put(struct fieldset_text *t, const struct fieldset *s);

/* Bytes of the object or list that the text begins with; all of it when that does not end. */
size_t fieldset_text_end(struct span text);

/* Is every member of s a member of the set that this text is? May say no of a text in which an
 * element is written in another way than fieldset_put() would. */
bool fieldset_text_holds(struct arena *a, struct span text, const struct fieldset *s);
/* Is any member of s a member of the set that this text is? May say yes when in doubt. */
bool fieldset_text_touches(struct arena *a, struct span text, const struct fieldset *s);

#endif
