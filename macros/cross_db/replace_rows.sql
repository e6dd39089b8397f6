{#-
  Spark only: makes a table what a query gives, which may read the table itself. It is written beside, in the other one
  of two folders, and takes the name of the old one when it is there in full; then the old folder is emptied, so that
  nothing of what was taken out is left on a disk. To take a name is one step of the catalogue: of a run that is killed
  before it, the old table is left, or the new one under its own name, which finish_replacements() gives it at the next
  start.
-#}
{% macro replace_rows(relation, query, before=none) %}
    {%- set beside = relation.incorporate(path={'identifier': relation.identifier ~ '__new'}) -%}
    {%- set old = described(relation).location -%}
    {%- set new = old[:-3] if old.endswith('__2') else old ~ '__2' -%}
    {%- do run_query('drop table if exists ' ~ beside) -%}
    {%- do run_query('create table ' ~ beside ~ " using parquet location '" ~ new ~ "' as " ~ query) -%}
    {%- if before -%}
        {%- do run_query(before) -%}
    {%- endif -%}
    {%- do take_place(relation, beside) -%}
    {%- do empty_folder(old) -%}
{% endmacro %}

{% macro take_place(relation, beside) %}
    {%- do run_query('drop table if exists ' ~ relation) -%}
    {%- do run_query('alter table ' ~ beside ~ ' rename to ' ~ relation) -%}
{% endmacro %}

{% macro empty_folder(folder) %}
    {%- do run_query("insert overwrite directory '" ~ folder ~ "' using parquet select 1 as nothing where 1 = 0") -%}
{% endmacro %}

{#- At the start of a run: ends what a killed one began in replace_rows(). Other engines have transactions for it. -#}
{% macro finish_replacements() %}{{ return(adapter.dispatch('finish_replacements', 'user_segments')()) }}{% endmacro %}

{% macro default__finish_replacements() %}{% endmacro %}

{% macro spark__finish_replacements() %}
    {%- if execute -%}
        {%- set history = graph.nodes.values() | selectattr('name', 'equalto', 'fct_segment_membership_history') | first -%}
        {%- set is_to_end = is_there(pending_evaluations()) -%}
        {%- set schemas = ['runs'] -%}
        {%- for node in graph.nodes.values() | selectattr('resource_type', 'equalto', 'model')
            if node.config.materialized == 'incremental' and node.schema not in schemas -%}
            {%- do schemas.append(node.schema) -%}
        {%- endfor -%}
        {%- for schema in schemas -%}
            {%- do run_query('create schema if not exists ' ~ schema) -%}
            {%- set there = [] -%}
            {%- for row in run_query('show tables in ' ~ schema).rows -%}
                {%- do there.append(row[1]) -%}
            {%- endfor -%}
            {%- for name in there if name.endswith('__kept') -%}
                {%- do write_kept_rows(
                    api.Relation.create(schema=schema, identifier=name[:-6], type='table'),
                    api.Relation.create(schema=schema, identifier=name, type='table')
                ) -%}
            {%- endfor -%}
            {%- for name in there if name.endswith('__new') -%}
                {%- set beside = api.Relation.create(schema=schema, identifier=name, type='table') -%}
                {%- set relation = api.Relation.create(schema=schema, identifier=name[:-5], type='table') -%}
                {%- if is_to_end and name[:-5] == history.alias -%}
                    {%- do take_place(relation, beside) -%}
                {%- elif name[:-5] not in there -%}
                    {%- do adapter.rename_relation(beside, relation) -%}
                {%- else -%}
                    {%- do run_query('drop table ' ~ beside) -%}
                {%- endif -%}
            {%- endfor -%}
        {%- endfor -%}
        {%- if is_to_end -%}
            {%- do finish_recording() -%}
        {%- endif -%}
        {#- A history of which nothing is recorded was begun by a run that was killed there: it begins again. -#}
        {%- set written = adapter.get_relation(none, history.schema, history.alias) -%}
        {%- set recorded = api.Relation.create(schema='runs', identifier='evaluations') -%}
        {%- if written and is_there(recorded) and not run_query('select 1 as one from ' ~ recorded ~ ' limit 1').rows -%}
            {%- do adapter.drop_relation(written) -%}
        {%- endif -%}
    {%- endif -%}
{% endmacro %}

{#- Whether there is such a table or view. dbt remembers what there was when it began, and what it made itself. -#}
{% macro is_there(relation) %}
    {{ return(run_query('show tables in ' ~ relation.schema ~ " like '" ~ relation.identifier ~ "'").rows | length > 0) }}
{% endmacro %}
