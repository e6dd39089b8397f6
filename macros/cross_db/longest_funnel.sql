{#-
  How many steps the longest funnel has that a model has to be made for. DuckDB and PostgreSQL go through ten steps that
  nobody has asked for in no time, and need not look; Spark takes long to plan them, and looks into the definitions.
-#}
{% macro longest_funnel() %}{{ return(adapter.dispatch('longest_funnel', 'user_segments')()) }}{% endmacro %}

{% macro default__longest_funnel() %}{{ return(var('max_funnel_steps')) }}{% endmacro %}

{% macro spark__longest_funnel() %}
    {%- set definitions = ref('stg_generic__funnels') -%}
    {%- if execute and is_there(definitions) -%}
        {{ return([run_query('select coalesce(max(step), 1) from ' ~ definitions).rows[0][0] | int, 2] | max) }}
    {%- endif -%}
    {{ return(var('max_funnel_steps')) }}
{% endmacro %}
