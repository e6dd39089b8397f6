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
    create schema if not exists runs;
    create table if not exists runs.evaluations (
        as_of_date date,
        segment_set {{ dbt.type_string() }},
        segment {{ dbt.type_string() }},
        people bigint,
        evaluated_at timestamp
    );
    create table if not exists runs.restatements (
        restated_at timestamp,
        from_date date,
        to_date date,
        segment_set {{ dbt.type_string() }}
    );
    {%- set history = graph.nodes.values() | selectattr('name', 'equalto', 'fct_segment_membership_history') | first %}
    {%- if not adapter.get_relation(history.database, history.schema, history.alias) %}
    delete from runs.evaluations;
    {%- elif not adapter.get_relation(history.database, 'runs', 'evaluations') %}
        {%- do exceptions.raise_compiler_error(
            "runs.evaluations is gone, which says on which days " ~ history.name ~ " was written; bring it back, or "
            ~ "drop that table, too, to begin a new history"
        ) -%}
    {%- endif %}
    {%- endif -%}
{% endmacro %}

{#-
  Writes down what int_evaluations lists, as the post-hook of fct_segment_membership_history: in the transaction that
  writes the stays, so that a run killed at any moment leaves both or neither.
-#}
{% macro record_evaluations() %}
    {#- int_evaluations is a view of what is written here: all of it is written before anything is deleted. -#}
    insert into {{ source('runs', 'evaluations') }} (as_of_date, segment_set, segment, people, evaluated_at)
    select
        as_of_date,
        segment_set,
        segment,
        people,
        cast(null as timestamp)
    from {{ ref('int_evaluations') }};
    delete from {{ source('runs', 'evaluations') }}
    where
        evaluated_at is not null
        and exists (
            select 1
            from {{ source('runs', 'evaluations') }} as again
            where
                again.evaluated_at is null
                and again.as_of_date = evaluations.as_of_date
                and again.segment_set = evaluations.segment_set
                and again.segment = evaluations.segment
        );
    update {{ source('runs', 'evaluations') }} set evaluated_at = {{ run_started_at_utc() }}
    where evaluated_at is null
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
    {% set later = "cast('" ~ day ~ "' as date)" %}
    {% for sql in [
        "delete from marts.fct_segment_membership_history where valid_from > " ~ later,
        "update marts.fct_segment_membership_history set valid_to = null where valid_to > " ~ later,
        "delete from runs.evaluations where as_of_date > " ~ later,
        "delete from marts.fct_segment_health where as_of_date > " ~ later,
    ] %}
        {% do run_query(sql) %}
    {% endfor %}
{% endmacro %}
