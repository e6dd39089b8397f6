{#-
  Several statements, one after another, as a hook gives them; an empty one is none. DuckDB and PostgreSQL take them at
  once, with semicolons after them. Spark takes one at a time: they are run while the hook is rendered, and nothing is
  left for dbt to run.
-#}
{% macro statements(listed) %}{{ return(adapter.dispatch('statements', 'user_segments')(listed)) }}{% endmacro %}

{% macro default__statements(listed) -%}
    {%- for statement in listed | map('trim') | select -%}
        {{ statement }};
    {%- endfor -%}
{%- endmacro %}

{% macro spark__statements(listed) -%}
    {%- do run_each(listed) -%}
{%- endmacro %}

{#- The same, in one transaction where there are any. -#}
{% macro transaction(listed) %}{{ return(adapter.dispatch('transaction', 'user_segments')(listed)) }}{% endmacro %}

{% macro default__transaction(listed) -%}
    {{ statements(['begin'] + listed + ['commit']) }}
{%- endmacro %}

{% macro spark__transaction(listed) -%}
    {{ statements(listed) }}
{%- endmacro %}

{#- What a hook ends with that changed something in the transaction which dbt may have open, and takes for open. -#}
{% macro commit_what_was_done() %}{{ return(adapter.dispatch('commit_what_was_done', 'user_segments')()) }}{% endmacro %}

{% macro default__commit_what_was_done() -%}
    {{ statements(['commit', 'begin']) }}
{%- endmacro %}

{% macro spark__commit_what_was_done() %}{% endmacro %}

{#- Runs each statement now, on any engine. -#}
{% macro run_each(listed) -%}
    {%- for statement in listed if execute and statement | trim -%}
        {%- do run_query(statement) -%}
    {%- endfor -%}
{%- endmacro %}
