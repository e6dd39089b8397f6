{#-
  Writes down what int_evaluations lists, as the post-hook of fct_segment_membership_history: in the transaction that
  writes the stays, so that a run killed at any moment leaves both or neither.

  Spark has no transactions. The stays are written beside, then what is to be written down (runs.evaluations__pending),
  then both take their places: as soon as the second table is there, it is to be ended (finish_recording), by this run
  or by the next one; before, nothing has happened.
-#}
{% macro record_evaluations() %}{{ return(adapter.dispatch('record_evaluations', 'user_segments')()) }}{% endmacro %}

{% macro default__record_evaluations() %}
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

{% macro spark__record_evaluations() %}
    {%- if execute -%}
        {%- if not is_there(pending_evaluations()) -%}
            {#- A history that was begun. -#}
            {%- do run_query(note_pending_evaluations()) -%}
        {%- endif -%}
        {%- do finish_recording() -%}
    {%- endif -%}
{% endmacro %}

{% macro pending_evaluations() %}
    {{ return(api.Relation.create(schema='runs', identifier='evaluations__pending', type='table')) }}
{% endmacro %}

{% macro note_pending_evaluations() -%}
    create table {{ pending_evaluations() }} using parquet location 'tables/evaluations__pending' as
    select
        as_of_date,
        segment_set,
        segment,
        people,
        {{ run_started_at_utc() }} as evaluated_at
    from {{ ref('int_evaluations') }}
{%- endmacro %}

{% macro finish_recording() %}
    {%- set recorded = api.Relation.create(schema='runs', identifier='evaluations', type='table') -%}
    {%- set columns = 'as_of_date, segment_set, segment, people, evaluated_at' -%}
    {%- do replace_rows(
        recorded,
        'select ' ~ columns ~ ' from ' ~ recorded ~ ' where '
        ~ none_of(
            ['as_of_date', 'segment_set', 'segment'], 'select as_of_date, segment_set, segment from ' ~ pending_evaluations()
        ) ~ ' union all select ' ~ columns
        ~ ' from ' ~ pending_evaluations()
    ) -%}
    {%- do run_query('drop table ' ~ pending_evaluations()) -%}
{% endmacro %}
