-- The metrics of a user agree with each other, as the facts declared with int_user_metrics say: a window holds no more
-- than a longer one, the last lies not before the first, a value is null exactly where it is said to be. Every fact is
-- true for every row; proofs of the segment sets rest on them.
{%- set metrics = ref('int_user_metrics') %}
{%- set facts = graph.nodes['model.' ~ project_name ~ '.int_user_metrics'].config.meta.facts if execute else {} %}

with metrics as (

    select * from {{ metrics }}

),

facts as (

    select
        as_of_date,
        user_id,
        {% for name, condition in facts.items() -%}
        {{ '|| ' if not loop.first }}case when ({{ condition | trim }}) is true then '' else '{{ name }} ' end
        {% endfor -%}
            as broken_facts
    from metrics

),

final as (

    select * from facts
    where broken_facts <> ''

)

select * from final
