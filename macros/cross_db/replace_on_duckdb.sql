{#-
  The materializations of views and tables on DuckDB. Those of dbt build a relation beside the one that is there, rename
  both, and drop the old one in a transaction of its own, for engines that cannot replace one. DuckDB can, in a single
  transaction: readers and a killed run see the old one or the new one, and a model takes half the statements and one
  write to the file. A run has a hundred of them.
-#}
{% materialization view, adapter='duckdb' -%}
    {%- set target_relation = this.incorporate(type='view') -%}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {%- do drop_in_transaction(load_cached_relation(this), unless='view') -%}
    {%- call statement('main') -%}
        {{ get_create_view_as_sql(target_relation, sql) }}
    {%- endcall -%}
    {%- do persist_docs(target_relation, model) -%}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {%- do adapter.commit() -%}
    {{ run_hooks(post_hooks, inside_transaction=False) }}

    {{ return({'relations': [target_relation]}) }}
{%- endmaterialization %}

{% materialization table, adapter='duckdb', supported_languages=['sql', 'python'] -%}
    {%- set target_relation = this.incorporate(type='table') -%}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {%- do drop_in_transaction(load_cached_relation(this)) -%}
    {%- call statement('main', language=model.language) -%}
        {{ create_table_as(False, target_relation, compiled_code, model.language) }}
    {%- endcall -%}
    {%- do create_indexes(target_relation) -%}
    {%- do persist_docs(target_relation, model) -%}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {%- do adapter.commit() -%}
    {{ run_hooks(post_hooks, inside_transaction=False) }}

    {{ return({'relations': [target_relation]}) }}
{%- endmaterialization %}

{#- Drops what is there; nothing where it is of the kind that is replaced as it is. -#}
{% macro drop_in_transaction(relation, unless=none) %}
    {%- if relation is not none and relation.type != unless -%}
        {%- call statement('drop_existing') -%}
            drop {{ relation.type }} if exists {{ relation }}
        {%- endcall -%}
    {%- endif -%}
{% endmacro %}

{#- As dbt-duckdb's, which only creates. -#}
{% macro duckdb__create_view_as(relation, sql) -%}
    {%- if config.get('contract').enforced -%}
        {{ get_assert_columns_equivalent(sql) }}
    {%- endif -%}
    {{ config.get('sql_header') or '' }}
    create or replace view {{ relation }} as (
        {{ sql }}
    );
{%- endmacro %}
