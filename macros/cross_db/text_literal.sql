{#-
  Any text as a SQL literal, and null for nothing: quotes, line breaks and emoji survive. Standard SQL doubles a quote
  and takes everything else as it is; Spark reads backslashes as escapes, too.
-#}
{% macro text_literal(value) %}{{ return(adapter.dispatch('text_literal', 'user_segments')(value)) }}{% endmacro %}

{% macro default__text_literal(value) -%}
    {%- if value is none or value is undefined or value == '' -%}
    cast(null as {{ dbt.type_string() }})
    {%- else -%}
    '{{ value | string | replace("'", "''") }}'
    {%- endif -%}
{%- endmacro %}

{% macro spark__text_literal(value) -%}
    {%- if value is none or value is undefined or value == '' -%}
    cast(null as {{ dbt.type_string() }})
    {%- else -%}
    '{{ value | string | replace("\\", "\\\\") | replace("'", "\\'") }}'
    {%- endif -%}
{%- endmacro %}
