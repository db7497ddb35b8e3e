# makini: PGXS build.  "make demo" and "make test" need nothing but Debian 12;
# the other targets are those of every PostgreSQL extension.

EXTENSION = makini
MODULE_big = makini
PGFILEDESC = "makini - remote business systems as SQL"

srcdir ?= .
sources = $(wildcard $(srcdir)/src/*.c $(srcdir)/src/*/*.c $(srcdir)/src/*/*/*.c)
OBJS = $(sort $(patsubst $(srcdir)/%.c,%.o,$(sources)))

# The script is put together in this order; within a folder by name.
sql_parts = $(srcdir)/src/makini.sql \
	$(foreach d,remote connector fdw sync event webhook,\
		$(sort $(wildcard $(srcdir)/src/$(d)/*.sql $(srcdir)/src/$(d)/*/*.sql))) \
	$(srcdir)/src/problem.sql $(srcdir)/src/usage.sql $(srcdir)/src/access.sql
DATA_built = makini--1.0.sql
DATA = $(wildcard $(srcdir)/makini--*--*.sql)

PG_CPPFLAGS = -I$(srcdir)/src $(shell pkg-config --cflags libcurl jansson openssl) $(if $(MAKINI_TEST),-DMAKINI_TEST)
PG_CFLAGS = -Wall -Wextra $(warnings_of_postgres) -MMD -MP $(WERROR)
SHLIB_LINK = $(shell pkg-config --libs libcurl jansson openssl)

# What PostgreSQL's own headers and macros raise under -Wextra, and clang about
# flags that PostgreSQL was built with by gcc.
warnings_of_postgres = -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers \
	$(if $(findstring clang,$(CC)),-Wno-ignored-optimization-argument -Wno-ignored-attributes -Wno-unknown-warning-option)

# "make installcheck": on a running server that makini is installed in.
launch = --load-extension=makini --launcher=$(abspath $(srcdir)/test/lib/with-simulator)
REGRESS := $(sort $(patsubst $(srcdir)/sql/%.sql,%,$(wildcard $(srcdir)/sql/*.sql)))
REGRESS_OPTS = $(launch)
ISOLATION := $(sort $(patsubst $(srcdir)/test/specs/%.spec,%,$(wildcard $(srcdir)/test/specs/*.spec)))
ISOLATION_OPTS = --inputdir=$(srcdir)/test $(launch)
EXTRA_CLEAN = $(OBJS:.o=.d)

# Inlining through LLVM gains nothing where the network is waited for.
override with_llvm = no

PG_CONFIG ?= pg_config
need_server = $(filter-out $(own_goals),$(or $(MAKECMDGOALS),all))
own_goals = demo test test-long unit fuzz python regress isolation tap bench lint warnings format

ifneq ($(need_server),)
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

makini--1.0.sql: $(sql_parts)
	cat $^ > $@

-include $(wildcard $(OBJS:.o=.d))
endif

# "make test PG=17" runs the suite on another major in a private root.
PG ?= 15
$(own_goals): ; @$(srcdir)/test/run --pg $(PG) $@ $(TESTS)
.PHONY: $(own_goals)
