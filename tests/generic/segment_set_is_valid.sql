{#-
  A segment set is what its YAML says it is. One query a set, because every test costs dbt some 20 ms.

  Nothing is passed in: the overlap, the coverage, the population and the flags (its boolean columns) are read from the
  model's own YAML while the test runs, so that a new set or flag is tested by being documented. YAML that cannot be
  understood is an error, never a set that is left out of the tests.

  It gives a row a user and broken rule (`segments` names the flags in question):
    row_is_not_unique          two rows for one user and as_of_date
    user_is_missing            in the population (config.meta.segment_set.population.sql), but not in the set
    user_is_not_in_population  in the set, but not in the population
    flag_is_null               a flag is neither true nor false
    more_than_one_flag         two or more flags are true in a set whose overlap is exclusive
    no_flag                    no flag is true in a set whose coverage is total
    segment_is_null            an attribute set has no value for the user
-#}
{% test segment_set_is_valid(model) %}

{#- The parser has to see this call; the rest needs the finished graph. -#}
{%- set metrics = ref('int_user_metrics') -%}

{%- if execute -%}

{#- `model` is the table to look at; the test itself, which knows the documented model, is only in the context. -#}
{%- set node = graph.nodes[context['model'].attached_node] -%}
{%- set where = node.patch_path.split('://')[1] ~ ", " ~ node.name -%}
{%- set declared = node.config.meta.get('segment_set', {}) -%}
{%- set kind, overlap, coverage = declared.get('kind'), declared.get('overlap'), declared.get('coverage') -%}
{%- set population = (declared.get('population') or {}).get('sql') -%}

{%- for key, value, words in [
    ('kind', kind, ['flags', 'attribute']),
    ('overlap', overlap, ['exclusive'] if kind == 'attribute' else ['exclusive', 'overlapping']),
    ('coverage', coverage, ['total'] if kind == 'attribute' else ['total', 'partial']),
] if value not in words -%}
    {%- do exceptions.raise_compiler_error(
        where ~ ": config.meta.segment_set." ~ key ~ " is " ~ ("'" ~ value ~ "'" if value else 'missing') ~ "; write "
        ~ words | join(' or ')
    ) -%}
{%- endfor -%}
{%- if not population -%}
    {%- do exceptions.raise_compiler_error(
        where ~ ": config.meta.segment_set.population.sql is missing; write the condition on "
        ~ "int_user_metrics that picks the users of the set"
    ) -%}
{%- endif -%}

{%- set wanted_type = 'boolean' if kind == 'flags' else 'string' -%}
{%- set columns = [] -%}
{%- for column in node.columns.values() if column.name not in ('as_of_date', 'user_id') -%}
    {%- if (column.data_type or '') | lower != wanted_type or (kind == 'attribute' and column.name != 'segment') -%}
        {%- do exceptions.raise_compiler_error(
            where ~ "." ~ column.name ~ ": data_type is '" ~ column.data_type
            ~ "'; beside as_of_date and user_id, a set of kind flags has boolean columns, and a set of kind attribute "
            ~ "has one string column, segment"
        ) -%}
    {%- endif -%}
    {%- do columns.append(column.name) -%}
{%- endfor -%}
{%- if not columns -%}
    {%- do exceptions.raise_compiler_error(where ~ ": no segment is documented under columns") -%}
{%- endif -%}

with metrics as (

    select * from {{ metrics }}

),

members as (

    select * from {{ model }}

),

population as (

    select
        as_of_date,
        user_id
    from metrics
    where {{ population }}

),

{% if kind == 'flags' -%}
flags as (

    select
        as_of_date,
        user_id,
        {% for flag in columns -%}
        {{ '+ ' if not loop.first }}case when {{ flag }} then 1 else 0 end
        {% endfor -%}
        as true_flags,
        {% for flag in columns -%}
        {{ '+ ' if not loop.first }}case when {{ flag }} is null then 1 else 0 end
        {% endfor -%}
        as null_flags,
        {% for flag in columns -%}
        {{ '|| ' if not loop.first }}case when {{ flag }} then '{{ flag }} ' else '' end
        {% endfor -%}
        as names_of_true_flags,
        {% for flag in columns -%}
        {{ '|| ' if not loop.first }}case when {{ flag }} is null then '{{ flag }} ' else '' end
        {% endfor -%}
        as names_of_null_flags
    from members

),

{% endif -%}
failures as (

    select
        as_of_date,
        user_id,
        'row_is_not_unique' as failed_check,
        '' as segments
    from members
    group by as_of_date, user_id
    having count(*) > 1

    union all

    select
        population.as_of_date,
        population.user_id,
        'user_is_missing' as failed_check,
        '' as segments
    from population
    left join members
        on population.as_of_date = members.as_of_date and population.user_id = members.user_id
    where members.user_id is null

    union all

    select
        members.as_of_date,
        members.user_id,
        'user_is_not_in_population' as failed_check,
        '' as segments
    from members
    left join population
        on members.as_of_date = population.as_of_date and members.user_id = population.user_id
    where population.user_id is null
    {%- if kind == 'flags' %}

    union all

    select
        as_of_date,
        user_id,
        'flag_is_null' as failed_check,
        names_of_null_flags as segments
    from flags
    where null_flags > 0
    {%- if overlap == 'exclusive' %}

    union all

    select
        as_of_date,
        user_id,
        'more_than_one_flag' as failed_check,
        names_of_true_flags as segments
    from flags
    where true_flags > 1
    {%- endif %}
    {%- if coverage == 'total' %}

    union all

    select
        as_of_date,
        user_id,
        'no_flag' as failed_check,
        '' as segments
    from flags
    where true_flags = 0
    {%- endif %}
    {%- else %}

    union all

    select
        as_of_date,
        user_id,
        'segment_is_null' as failed_check,
        '' as segments
    from members
    where segment is null
    {%- endif %}

)

select
    as_of_date,
    user_id,
    failed_check,
    trim(segments) as segments
from failures

{%- endif -%}

{% endtest %}
