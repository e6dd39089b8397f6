{#-
  At the start of a run: takes forgotten people (runs.erased_ids, see tools/raw_erasure.py) out of what is not built
  anew from the raw data: marts that keep earlier days, and what is counted of days whose events are no longer kept (the
  half hours, the interests and the key events). Whatever else is stored follows from these and from int_changed_days.
-#}
{% macro forget_erased_people() %}
    {#- Made when the connection opens, or never: where raw tables are somebody else's, so is forgetting in them. -#}
    {%- set erased_ids = source('runs', 'erased_ids') -%}
    {%- set can_forget = execute and load_relation(erased_ids) is not none -%}
    {%- if can_forget and run_query('select count(*) from ' ~ erased_ids).rows[0][0] > 0 %}
        {#- Where nothing was asked of the warehouse yet, dbt has no transaction open: the end of this needs one. -#}
        {%- call statement('open_transaction', auto_begin=true) -%}
            select 1
        {%- endcall -%}
        {%- set without_key = run_query('select count(*) from ' ~ erased_ids ~ ' where id_key is null').rows[0][0] -%}
        {%- set by_hash = without_key > 0 %}
        {%- for node in graph.nodes.values() | selectattr('resource_type', 'equalto', 'model')
            if node.config.materialized == 'incremental' and 'marts' in node.fqn and 'user_id' in node.columns
            and load_relation(relation_of(node)) %}
            {%- if node.name == 'fct_segment_membership_history' -%}
            {{ forget_stays(node, is_erased('user_id', by_hash)) }}
            {%- else -%}
            {{ statements([delete_rows(relation_of(node), is_erased('user_id', by_hash))]) }}
            {%- endif -%}
        {%- endfor %}
        {%- set identities = graph.nodes['model.' ~ project_name ~ '.int_identities'] %}
        {%- if load_relation(relation_of(identities)) %}
            {%- for name in ['int_half_hours', 'int_interest_days', 'int_key_events'] %}
            {%- set node = graph.nodes['model.' ~ project_name ~ '.' ~ name] %}
            {%- if load_relation(relation_of(node)) %}
            {{ statements([delete_rows(
                relation_of(node),
                'pair_key in (select pair_key from ' ~ identities.relation_name ~ ' where '
                ~ is_erased('user_id', by_hash) ~ ' or (user_id is null and '
                ~ is_erased("'anon:' || anonymous_id", by_hash) ~ '))'
            )]) }}
            {%- endif %}
            {%- endfor %}
            {#- An event of somebody else on a forgotten device stays theirs. #}
            {{ statements([update_rows(
                relation_of(identities),
                {'anonymous_id': 'null'},
                'user_id is not null and ' ~ is_erased("'anon:' || anonymous_id", by_hash)
            )]) }}
        {%- endif %}
        {{ commit_what_was_done() }}
    {%- endif %}
{% endmacro %}

{% macro relation_of(node) %}
    {{ return(api.Relation.create(node.database, node.schema, node.alias, type='table')) }}
{% endmacro %}

{#- Whether an id as the marts know it is that of a forgotten person; as is_erased() of tools/raw_erasure.py. -#}
{% macro is_erased(person, by_hash) -%}
    (
        {{ hash64(person) }} in (
            select id_key
            from {{ source('runs', 'erased_ids') }}
            where id_key is not null
        )
        {%- if by_hash %}
        or coalesce(
            {{ sha256_of(person) }} in (
                select id_hash
                from {{ source('runs', 'erased_ids') }}
                where id_key is null
            ),
            false
        )
        {%- endif %}
    )
{%- endmacro %}
