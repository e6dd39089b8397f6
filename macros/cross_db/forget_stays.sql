{#-
  Takes forgotten people out of the history, and out of the sizes of populations that were noted on each day: these are
  those of the people who are left. `is_erased` is the condition of a stay of theirs. Both in one transaction: what is
  noted would else be less by the same people twice. Spark, which has none, does it as record_evaluations.sql says.
-#}
{% macro forget_stays(node, is_erased) %}{{ return(adapter.dispatch('forget_stays', 'user_segments')(node, is_erased)) }}{% endmacro %}

{% macro default__forget_stays(node, is_erased) -%}
    update runs.evaluations set people = evaluations.people - gone.people
    from ({{ populations_of_erased(node, is_erased) }}) as gone
    where evaluations.as_of_date = gone.as_of_date and evaluations.segment_set = gone.segment_set;
    delete from {{ node.relation_name }} where {{ is_erased }};
{%- endmacro %}

{% macro spark__forget_stays(node, is_erased) -%}
    {%- set history = relation_of(node) -%}
    {%- if run_query('select 1 as one from ' ~ history ~ ' where ' ~ is_erased ~ ' limit 1').rows -%}
        {%- set columns = described(history).columns.keys() | join(', ') -%}
        {%- set left -%}
            create table {{ pending_evaluations() }} using parquet location 'tables/evaluations__pending' as
            select
                evaluations.as_of_date,
                evaluations.segment_set,
                evaluations.segment,
                evaluations.people - gone.people as people,
                evaluations.evaluated_at
            from runs.evaluations as evaluations
            inner join ({{ populations_of_erased(node, is_erased) }}) as gone
                on evaluations.as_of_date = gone.as_of_date and evaluations.segment_set = gone.segment_set
        {%- endset -%}
        {%- do replace_rows(
            history, 'select ' ~ columns ~ ' from ' ~ history ~ ' where (' ~ is_erased ~ ') is not true', before=left
        ) -%}
        {%- do finish_recording() -%}
    {%- endif -%}
{%- endmacro %}

{% macro populations_of_erased(node, is_erased) -%}
    select
        days.as_of_date,
        days.segment_set,
        count(distinct stays.user_id) as people
    from (select distinct as_of_date, segment_set from runs.evaluations) as days
    inner join (select user_id, segment_set, valid_from, valid_to from {{ node.relation_name }} where {{ is_erased }}) as stays
        on
            stays.valid_from <= days.as_of_date
            and (stays.valid_to is null or stays.valid_to > days.as_of_date)
            and days.segment_set in ('all', stays.segment_set)
    group by days.as_of_date, days.segment_set
{%- endmacro %}
