{#-
  What is asked of a run that goes over past days; tools/backfill.py sets it, nobody else.

    EVALUATE_FROM, EVALUATE_TO   the days to evaluate, in place of the as-of date and the runs that were missed
    EVALUATE_SET                 one segment set only
    RESTATE                      also what was evaluated before: its history is written again
-#}
{% macro range_to_evaluate() %}
    {%- set first, last = env_var('EVALUATE_FROM', ''), env_var('EVALUATE_TO', '') -%}
    {{ return({'first': first, 'last': last} if first and last else none) }}
{% endmacro %}

{#-
  The tables in which runs write down what they did, made where they are missing. They belong to the history: where
  that is gone, so is what was recorded about it.

  On on-run-start, not models: a model is made of others, and these are made of what happened.
-#}
{% macro create_run_tables() %}
    {%- if execute -%}
    {%- set history = graph.nodes.values() | selectattr('name', 'equalto', 'fct_segment_membership_history') | first -%}
    {%- set was_there = adapter.get_relation(history.database, 'runs', 'evaluations') -%}
    {%- set text = dbt.type_string() -%}
    {{ statements([
        'create schema if not exists runs',
        'create table if not exists runs.evaluations (as_of_date date, segment_set ' ~ text ~ ', segment ' ~ text
        ~ ', people bigint, evaluated_at timestamp)',
        'create table if not exists runs.restatements (restated_at timestamp, from_date date, to_date date, segment_set '
        ~ text ~ ')',
    ]) }}
    {%- if not adapter.get_relation(history.database, history.schema, history.alias) -%}
        {{ statements([delete_rows(source('runs', 'evaluations'), 'true')]) }}
    {%- elif not was_there -%}
        {%- do exceptions.raise_compiler_error(
            "runs.evaluations is gone, which says on which days " ~ history.name ~ " was written; bring it back, or "
            ~ "drop that table, too, to begin a new history"
        ) -%}
    {%- endif %}
    {%- endif -%}
{% endmacro %}

{#- Writes down that a range was restated: dbt run-operation record_restatement, once it is done. -#}
{% macro record_restatement(first, last, segment_set) %}
    {% do run_query(
        "insert into runs.restatements (restated_at, from_date, to_date, segment_set) values ("
        ~ run_started_at_utc() ~ ", cast('" ~ first ~ "' as date), cast('" ~ last ~ "' as date), '"
        ~ segment_set ~ "')"
    ) %}
{% endmacro %}

{#- Takes back, in a copy of the warehouse, what is known of later days: dbt run-operation forget_after. -#}
{% macro forget_after(day) %}
    {%- set later = "cast('" ~ day ~ "' as date)" -%}
    {%- set history = ref('fct_segment_membership_history') -%}
    {%- do run_each([delete_rows(history, 'valid_from > ' ~ later)]) -%}
    {%- do run_each([update_rows(history, {'valid_to': 'null'}, 'valid_to > ' ~ later)]) -%}
    {%- do run_each([delete_rows(source('runs', 'evaluations'), 'as_of_date > ' ~ later)]) -%}
    {%- do run_each([delete_rows(ref('fct_segment_health'), 'as_of_date > ' ~ later)]) -%}
{% endmacro %}
