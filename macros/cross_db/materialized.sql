{#-
  Written before the parenthesis of a CTE that is to be computed in full before it is read: `as {{ materialized() }} (`.
  DuckDB writes a table from a union of many selects with one thread most of the time, and from a materialized one
  with all of them (2.7M rows: 1.7 s in place of 3.3 s). PostgreSQL knows the word. Spark does not, and does what once()
  says.
-#}
{% macro materialized() %}{{ return(adapter.dispatch('materialized', 'user_segments')()) }}{% endmacro %}

{% macro default__materialized() -%}
    materialized
{%- endmacro %}

{% macro spark__materialized() -%}
    {{ once() }}
{%- endmacro %}

{#-
  The same for Spark alone: `as {{ once() }} (`. Other engines compute a CTE once that is read more than once. Spark
  puts its SQL in each place where it is read, and what reads that in each of its own places: of a few CTEs upon each
  other there are thousands of copies, which no planner gets through. There the mark makes a table of it (compute_once),
  for as long as the run takes, in models that are tables themselves; the CTE's parenthesis closes at the start of a
  line.
-#}
{% macro once() %}{{ return(adapter.dispatch('once', 'user_segments')()) }}{% endmacro %}

{% macro default__once() -%}
{%- endmacro %}

{% macro spark__once() -%}
    /* once */
{%- endmacro %}

{#- On Spark: makes a table of each CTE that is marked, and gives the SQL that reads these. -#}
{% macro compute_once(sql, relation) %}
    {%- set re = modules.re -%}
    {%- set rest = namespace(sql=sql) -%}
    {%- for _ in range(100) -%}
        {%- set mark = re.search('^(\\w+) as /\\* once \\*/ \\($', rest.sql, re.MULTILINE) -%}
        {%- if not mark -%}
            {%- break -%}
        {%- endif -%}
        {%- set end = re.compile('^\\)', re.MULTILINE).search(rest.sql, mark.end()) -%}
        {%- set before, body = rest.sql[:mark.start()], rest.sql[mark.end():end.start()] -%}
        {%- set scratch = relation.incorporate(path={
            'schema': 'scratch', 'identifier': relation.identifier ~ '__' ~ mark.group(1)
        }) -%}
        {%- set ctes = re.sub(',\\s*(?:--[^\\n]*\\s*)*$', '\n', before) -%}
        {%- if re.sub('--[^\\n]*', '', ctes) | trim | lower in ('with', '') -%}
            {%- set ctes = '' -%}
        {%- endif -%}
        {%- do run_each([
            'create schema if not exists scratch',
            'drop table if exists ' ~ scratch,
            'create table ' ~ scratch ~ " using parquet location 'tables/" ~ scratch.identifier ~ "' as\n"
            ~ ctes ~ '\nselect * from (' ~ body ~ ')',
        ]) -%}
        {%- set rest.sql = before ~ mark.group(1) ~ ' as (select * from ' ~ scratch ~ ')' ~ rest.sql[end.end():] -%}
    {%- endfor -%}
    {{ return(rest.sql) }}
{% endmacro %}

{#- At the end of a run, and at the start of the next: nothing of these tables is left. Only Spark has any. -#}
{% macro drop_scratch() %}{{ return(adapter.dispatch('drop_scratch', 'user_segments')()) }}{% endmacro %}

{% macro default__drop_scratch() %}{% endmacro %}

{% macro spark__drop_scratch() %}
    {%- if execute -%}
        {%- do run_query('create schema if not exists scratch') -%}
        {#- Views of the session are listed with every schema, and go with it. -#}
        {%- for row in run_query('show tables in scratch').rows if not row[2] -%}
            {%- set scratch = api.Relation.create(schema='scratch', identifier=row[1]) -%}
            {%- set folder = described(scratch).location -%}
            {%- do run_query('drop table ' ~ scratch) -%}
            {%- do empty_folder(folder) -%}
        {%- endfor -%}
    {%- endif -%}
{% endmacro %}

{#-
  How a model becomes a table on Spark: as the adapter does it, but what is marked is made before. Of other engines'
  languages and formats there are none here.
-#}
{% macro spark__create_table_as(temporary, relation, compiled_code, language='sql') -%}
    {%- if temporary -%}
        {#- Only dbt's unit tests ask for it: of no rows, with the query inside another one. -#}
        {{ create_temporary_view(relation, compiled_code) }}
    {%- else -%}
        {%- set sql = compute_once(compiled_code, relation) -%}
        {%- if (config.get('contract') or {}).enforced -%}
            {{ get_assert_columns_equivalent(sql) }}
            {%- set sql = get_select_subquery(sql) -%}
        {%- endif -%}
    create table {{ relation }}
    using parquet
    {{ partition_cols(label='partitioned by') }}
    {{ location_clause() }}
    as
    {{ sql }}
    {%- endif -%}
{%- endmacro %}
