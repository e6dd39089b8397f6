{#-
  Who is in which segment, beside another schema of the same warehouse, as Markdown: sizes, from where to where in
  exclusive sets, entered and left in overlapping ones. Changes nothing.

    dbt run-operation segment_diff --args '{base_schema: marts_base}'

  `base_schema` holds an fct_segment_membership from before a change; it is compared with the one of this project. An
  operation, because a warehouse on a server has no file to copy; plain SQL, because it may be any engine's.
-#}
{% macro segment_diff(base_schema) %}
    {% set head = ref('fct_segment_membership') %}
    {% set base = head.incorporate(path={'schema': base_schema}) %}
    {% for relation in (base, head) %}
        {% if not load_relation(relation) %}
            {% do exceptions.raise_compiler_error(
                "segment_diff: there is no table " ~ relation ~ "; base_schema names the schema with the membership of "
                ~ "before, and dbt run builds the one to compare"
            ) %}
        {% endif %}
    {% endfor %}

    {% set overlapping = segment_sets() | selectattr('overlap', 'equalto', 'overlapping') | map(attribute='name')
        | list %}
    {% set days = run_query(segment_diff_days(base, head)).rows[0] %}
    {% set moved = run_query(segment_diff_movers(base, head)).rows[0][0] %}
    {% do print("# Segment diff: " ~ base.schema ~ " to " ~ head.schema ~ "\n") %}
    {% set verb = " user moves" if moved == 1 else " users move" %}
    {% do print("**" ~ (moved ~ verb if moved else "No user moves") ~ ".**") %}
    {% do print("As of " ~ days[0] ~ (" before and " ~ days[1] ~ " after" if days[0] != days[1] else "") ~ ".") %}

    {% do print("\n## Sizes\n\n| set | segment | before | after | entered | left |\n|---|---|---:|---:|---:|---:|") %}
    {% do segment_diff_print(run_query(segment_diff_sizes(base, head)).rows) %}

    {% set flows = run_query(segment_diff_flows(base, head)).rows | rejectattr(0, 'in', overlapping) | list %}
    {% if flows %}
        {% do print("\n## From where to where\n\n| set | from | to | users |\n|---|---|---|---:|") %}
        {% do segment_diff_print(flows) %}
    {% endif %}
{% endmacro %}

{#- Rows of a table; a bar in a value of an attribute set is no end of a cell. -#}
{% macro segment_diff_print(rows) %}
    {% for row in rows %}
        {% do print("| " ~ row.values() | map('string') | map('replace', '|', '\\|') | join(" | ") ~ " |") %}
    {% endfor %}
{% endmacro %}

{#- The membership of the newest as-of date of a relation, as a CTE of the given name. -#}
{% macro segment_diff_latest(name, relation) -%}
    {{ name }} as (

        select
            every_date.user_id,
            every_date.segment_set,
            every_date.segment
        from {{ relation }} as every_date
        where every_date.as_of_date = (select max(latest.as_of_date) from {{ relation }} as latest)

    )
{%- endmacro %}

{% macro segment_diff_days(base, head) -%}
    select
        (select cast(max(as_of_date) as {{ dbt.type_string() }}) from {{ base }}) as day_before,
        (select cast(max(as_of_date) as {{ dbt.type_string() }}) from {{ head }}) as day_after
{%- endmacro %}

{#- Every membership with how often it is there before and after: once or never. -#}
{% macro segment_diff_both(base, head) -%}
    {{ segment_diff_latest('base', base) }},

    {{ segment_diff_latest('head', head) }},

    both_sides as (

        select
            coalesce(base.user_id, head.user_id) as user_id,
            coalesce(base.segment_set, head.segment_set) as segment_set,
            coalesce(base.segment, head.segment) as segment,
            case when base.user_id is null then 0 else 1 end as is_before,
            case when head.user_id is null then 0 else 1 end as is_after
        from base
        full outer join head
            on
                base.user_id = head.user_id
                and base.segment_set = head.segment_set
                and base.segment = head.segment

    )
{%- endmacro %}

{% macro segment_diff_movers(base, head) -%}
    with {{ segment_diff_both(base, head) }}

    select count(distinct user_id) as users
    from both_sides
    where is_before <> is_after
{%- endmacro %}

{% macro segment_diff_sizes(base, head) -%}
    with {{ segment_diff_both(base, head) }}

    select
        segment_set,
        segment,
        sum(is_before) as before_change,
        sum(is_after) as after_change,
        sum(case when is_before < is_after then 1 else 0 end) as entered,
        sum(case when is_before > is_after then 1 else 0 end) as left_it
    from both_sides
    group by segment_set, segment
    order by segment_set, segment
{%- endmacro %}

{#- Who is in two segments of a set, which an exclusive one does not allow, is in as many rows. -#}
{% macro segment_diff_flows(base, head) -%}
    with {{ segment_diff_latest('base', base) }},

    {{ segment_diff_latest('head', head) }},

    flows as (

        select
            coalesce(base.segment_set, head.segment_set) as segment_set,
            coalesce(base.segment, '(none)') as from_segment,
            coalesce(head.segment, '(none)') as to_segment
        from base
        full outer join head
            on base.user_id = head.user_id and base.segment_set = head.segment_set

    )

    select
        segment_set,
        from_segment,
        to_segment,
        count(*) as users
    from flows
    where from_segment <> to_segment
    group by segment_set, from_segment, to_segment
    order by segment_set, users desc, from_segment, to_segment
{%- endmacro %}
