/* What `cwhisk ctl` prints. Texts of the answers may come from users (names of actions): control
 * characters never reach the terminal. */
#include <inttypes.h>
#include <math.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cmd/ctl.h"
#include "common/base/clock.h"
#include "common/base/err.h"

enum {
    CELL_MAX_BYTES = 1024,
    LINE_MAX_BYTES = 64 << 10,
    PATH_PART_MAX = 64,
    GAP = 2,
    AROUND_ROWS = 5, /* beside a table that is drawn in place: date, gap, titles, rest, cursor */
    CUT_MIN = 8,     /* less of a text says nothing */
};

/* ---- cells ---- */

static const json_t *member(const json_t *row, const char *path)
{
    char part[PATH_PART_MAX];
    const char *dot;

    for (; row && (dot = strchr(path, '.')); path = dot + 1) {
        (void)snprintf(part, sizeof(part), "%.*s", (int)(dot - path), path);
        row = json_object_get(row, part);
    }
    return json_object_get(row, path);
}

static void add_bytes(struct cw_str *out, double v)
{
    static const char *const UNITS[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    size_t unit = 0;

    while (fabs(v) >= 1024 && unit + 1 < CW_ARRAY_LEN(UNITS)) {
        v /= 1024;
        unit++;
    }
    cw_str_addf(out, unit ? "%.1f %s" : "%.0f %s", v, UNITS[unit]);
}

static void add_seconds(struct cw_str *out, double ms)
{
    if (ms < 120e3)
        cw_str_addf(out, "%.3f s", ms / 1e3);
    else if (ms < 120 * 60e3)
        cw_str_addf(out, "%.0f min", ms / 60e3);
    else
        cw_str_addf(out, "%.1f h", ms / 3600e3);
}

static void add_number(struct cw_str *out, const json_t *v, enum ctl_format format)
{
    double number = json_number_value(v);

    if (format == CTL_BYTES)
        add_bytes(out, number);
    else if (format == CTL_SECONDS)
        add_seconds(out, number);
    else if (format == CTL_MILLIS)
        cw_str_addf(out, "%.3f ms", number / 1e3);
    else if (format == CTL_PERCENT)
        cw_str_addf(out, "%.1f %%", number * 100);
    else if (format == CTL_CORES)
        cw_str_addf(out, "%.2f", number / 1e3);
    else if (json_is_integer(v))
        cw_str_addi(out, json_integer_value(v));
    else
        cw_str_addf(out, "%.4g", number);
}

static void add_text(struct cw_str *out, const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text, next = (unsigned char)text[1];

        if (c == 0xc2 && next >= 0x80 && next < 0xa0) { /* U+0080..U+009F in UTF-8 */
            cw_str_addc(out, '?');
            text++;
        } else {
            cw_str_addc(out, c < 0x20 || c == 0x7f ? '?' : *text);
        }
    }
}

static void add_value(struct cw_str *out, const json_t *v, enum ctl_format format)
{
    size_t i;
    json_t *item;

    if (json_is_string(v))
        add_text(out, json_string_value(v));
    else if (json_is_number(v))
        add_number(out, v, format);
    else if (json_is_boolean(v))
        cw_str_addz(out, json_is_true(v) ? "yes" : "no");
    else if (json_is_array(v))
        json_array_foreach((json_t *)v, i, item)
        {
            cw_str_addz(out, i ? "," : "");
            if (!json_is_array(item)) /* one level is enough for a cell */
                add_value(out, item, format);
        }
}

static char *cell(const json_t *row, const struct ctl_column *column)
{
    cw_auto_str struct cw_str text;

    cw_str_init(&text, CELL_MAX_BYTES);
    add_value(&text, member(row, column->key), column->format);
    return cw_str_steal(&text);
}

/* Characters: bytes that do not continue one. */
static size_t width_of(const char *text)
{
    size_t n = 0;

    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static size_t terminal_width(FILE *to)
{
    struct winsize size;

    if (isatty(fileno(to)) && ioctl(fileno(to), TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    return SIZE_MAX;
}

/* At most width characters of it; the last one tells when there are more. */
static void add_cut(struct cw_str *line, const char *text, size_t width)
{
    size_t n = 0, chars = 0;

    if (width_of(text) <= width) {
        cw_str_addz(line, text);
        return;
    }
    for (; text[n]; n++) {
        chars += ((unsigned char)text[n] & 0xc0) != 0x80;
        if (chars == width)
            break;
    }
    cw_str_add(line, text, n);
    cw_str_addz(line, "…");
}

/* ---- tables ---- */

struct table {
    const struct ctl_command *command;
    size_t rows;
    char **cells; /* the titles first, then row by row */
    size_t *widths;
    bool *right;  /* numbers only */
    size_t shown; /* columns; the others find no room */
};

static void fill_table(struct table *t, const json_t *rows)
{
    size_t columns = t->command->column_count;
    size_t i;
    json_t *row;

    t->rows = json_array_size(rows) + 1;
    t->cells = cw_calloc(t->rows * columns, sizeof(*t->cells));
    t->widths = cw_calloc(columns, sizeof(*t->widths));
    t->right = cw_calloc(columns, sizeof(*t->right));
    for (size_t c = 0; c < columns; c++) {
        const struct ctl_column *column = &t->command->columns[c];

        t->cells[c] = cw_strdup(column->title);
        t->right[c] = false;
        json_array_foreach((json_t *)rows, i, row)
        {
            t->cells[(i + 1) * columns + c] = cell(row, column);
            t->right[c] = t->right[c] || json_is_number(member(row, column->key));
        }
        for (size_t r = 0; r < t->rows; r++)
            if (width_of(t->cells[r * columns + c]) > t->widths[c])
                t->widths[c] = width_of(t->cells[r * columns + c]);
    }
}

static void free_table(struct table *t)
{
    for (size_t i = 0; i < t->rows * t->command->column_count; i++)
        free(t->cells[i]);
    free(t->cells);
    free(t->widths);
    free(t->right);
}

static void add_padding(struct cw_str *line, size_t n)
{
    cw_str_addf(line, "%*s", (int)n, "");
}

/* Half a number would be another number; half a text is not. */
static void choose_columns(struct table *t, size_t room)
{
    size_t columns = t->command->column_count, used = 0;

    for (t->shown = 0; t->shown < columns; t->shown++) {
        size_t gap = t->shown ? GAP : 0, width = t->widths[t->shown];

        if (used + gap + width > room) {
            if (t->right[t->shown] || used + gap + CUT_MIN > room)
                return;
            t->widths[t->shown++] = room - used - gap;
            return;
        }
        used += gap + width;
    }
}

static void add_row(struct cw_str *line, const struct table *t, size_t r)
{
    for (size_t c = 0; c < t->shown; c++) {
        const char *text = t->cells[r * t->command->column_count + c];
        size_t width = width_of(text);
        size_t pad = t->widths[c] > width ? t->widths[c] - width : 0;

        if (c)
            add_padding(line, GAP);
        if (t->right[c])
            add_padding(line, pad);
        add_cut(line, text, t->widths[c]);
        if (!t->right[c] && c + 1 < t->shown)
            add_padding(line, pad);
    }
}

void ctl_print_table(FILE *to, const struct ctl_command *command, const json_t *rows)
{
    struct table t = {.command = command};
    cw_auto_str struct cw_str line;

    cw_str_init(&line, LINE_MAX_BYTES);
    fill_table(&t, rows);
    choose_columns(&t, terminal_width(to));
    for (size_t r = 0; r < t.rows; r++) {
        cw_str_reset(&line);
        add_row(&line, &t, r);
        (void)fprintf(to, "%s\n", line.p);
    }
    free_table(&t);
}

void ctl_print_line(FILE *to, const struct ctl_command *command, const json_t *row)
{
    const char *gap = "";

    for (size_t c = 0; c < command->column_count; c++) {
        cw_auto_free char *text = cell(row, &command->columns[c]);

        if (!*text)
            continue;
        (void)fprintf(to, "%s%s=%s", gap, command->columns[c].title, text);
        gap = " ";
    }
    (void)fputc('\n', to);
}

void ctl_print_json(FILE *to, const json_t *doc)
{
    (void)json_dumpf(doc, to, JSON_COMPACT | JSON_ENSURE_ASCII);
    (void)fputc('\n', to);
}

const json_t *ctl_rows(const struct ctl_command *command, const json_t *doc, struct cw_err *err)
{
    const json_t *rows = json_object_get(doc, command->list);

    if (json_is_array(rows))
        return rows;
    (void)cw_fail(err, CW_INVALID, "%s: the answer has no list \"%s\"", command->path,
                  command->list);
    return NULL;
}

/* ---- what has changed ---- */

void ctl_view_done(struct ctl_view *v)
{
    json_decref(v->rows);
    v->rows = NULL;
}

static const json_t *same_row(const json_t *rows, const char *id, const json_t *row)
{
    const json_t *key = json_object_get(row, id);
    size_t i;
    json_t *other;

    json_array_foreach((json_t *)rows, i, other)
    {
        if (json_equal(json_object_get(other, id), key))
            return other;
    }
    return NULL;
}

static void tell_change(const struct ctl *c, const char *what, char mark, const json_t *row)
{
    char now[CW_ISO_TIME_LEN + 1];

    cw_clock_iso(cw_clock_wall_ms(cw_clock_system()), now);
    if (c->json) {
        json_t *doc = json_pack("{s:s, s:s, s:O}", "time", now, "change", what, "row", row);

        ctl_print_json(stdout, doc);
        json_decref(doc);
        return;
    }
    (void)printf("%s %c ", now, mark);
    ctl_print_line(stdout, c->command, row);
}

/* Does what is shown of it differ? What is measured (ages, bytes, cores) changes all the time and
 * would drown the rest, hence it does not count without --json; what is counted does. */
static bool looks_changed(const struct ctl *c, const json_t *before, const json_t *now)
{
    if (c->json)
        return !json_equal((json_t *)before, (json_t *)now);
    for (size_t i = 0; i < c->command->column_count; i++) {
        const struct ctl_column *column = &c->command->columns[i];
        const json_t *a = member(before, column->key), *b = member(now, column->key);

        if (json_is_number(a) && json_is_number(b) && column->format != CTL_TEXT)
            continue;
        if (!json_equal(a, b) && (a || b))
            return true;
    }
    return false;
}

static void tell_changes(struct ctl_view *v, const struct ctl *c, const json_t *rows)
{
    const char *id = c->command->id;
    size_t i;
    json_t *row;

    json_array_foreach((json_t *)rows, i, row)
    {
        const json_t *before = same_row(v->rows, id, row);

        if (!before)
            tell_change(c, "added", '+', row);
        else if (looks_changed(c, before, row))
            tell_change(c, "changed", '~', row);
    }
    json_array_foreach(v->rows, i, row)
    {
        if (!same_row(rows, id, row))
            tell_change(c, "removed", '-', row);
    }
}

/* How many rows fit below two lines and the titles, with a line to spare for the rest's number. */
static size_t rows_that_fit(void)
{
    struct winsize size;

    if (ioctl(fileno(stdout), TIOCGWINSZ, &size) != 0 || size.ws_row == 0)
        return SIZE_MAX;
    return size.ws_row > AROUND_ROWS + 1 ? size.ws_row - AROUND_ROWS : 1;
}

static void redraw(const struct ctl_view *v, const struct ctl *c, const json_t *rows)
{
    size_t all = json_array_size(rows), fit = rows_that_fit(), i;
    json_t *first = json_array(), *row;
    char now[CW_ISO_TIME_LEN + 1];

    json_array_foreach((json_t *)rows, i, row)
    {
        if (i < fit)
            json_array_append(first, row);
    }

    cw_clock_iso(cw_clock_wall_ms(cw_clock_system()), now);
    (void)fputs(v->rows ? "\033[H\033[J" : "\033[2J\033[H", stdout);
    (void)printf("%s %s, %zu, each %" PRId64 " ms\n\n", now, c->url, all, c->watch_ms);
    ctl_print_table(stdout, c->command, first);
    if (all > fit)
        (void)printf("… and %zu more\n", all - fit);
    json_decref(first);
}

void ctl_view_update(struct ctl_view *v, const struct ctl *c, const json_t *rows)
{
    if (isatty(fileno(stdout)) && !c->json)
        redraw(v, c, rows);
    else
        tell_changes(v, c, rows);
    (void)fflush(stdout);
    json_decref(v->rows);
    v->rows = json_incref((json_t *)rows);
}
