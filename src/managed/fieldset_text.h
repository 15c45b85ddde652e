/* managed/fieldset_text.h: sets of fields as the text in which they are stored (FieldsV1).
 *
 * Most writes leave most sets as they are, or nearly so. These functions tell from the text whether
 * that is so, change it, and write sets without a document in between. A text is well-formed JSON
 * that fieldset_put() (or an earlier version of it) wrote: one form for one set. */
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

/* A node: key and what is below. And what follows a key: {} of what is but a member. */
void fieldset_text_put_node(struct fieldset_text *t, const struct fieldset_node *node);
void fieldset_text_put_value(struct fieldset_text *t, const struct fieldset *below, bool member);

/* Bytes up to the end of the object or list that the text begins with (depth 0), or in which it
 * begins (depth 1); all of it when that does not end. */
size_t fieldset_text_end(struct span text, size_t depth);
/* Bytes of the string that the text begins with, quotes included; 0: it begins with none. */
size_t fieldset_text_string(struct span text);

enum fieldset_edit { FIELDSET_SAME, FIELDSET_OTHER, FIELDSET_IN_DOUBT };
/* Makes of a set that is text one without the members of `less` and then with those of `more`: text
 * as fieldset_put() would write it, SPAN_NULL when the set is empty then. SAME: it has not become
 * another. IN_DOUBT: it has to be taken apart; the text is as it was. */
enum fieldset_edit fieldset_text_edit(struct arena *a, struct span *text,
                                      const struct fieldset *less, const struct fieldset *more);

#endif
