{#-
  A number of the given type, or null where the text is none, or does not fit. PostgreSQL has no try_cast: a function
  takes what is written as a number, whatever else its own cast would take (create_functions). Spark's is the same.
-#}
{% macro try_number(expression, type) %}{{ return(adapter.dispatch('try_number', 'user_segments')(expression, type)) }}{% endmacro %}

{% macro default__try_number(expression, type) -%}
    try_cast({{ expression }} as {{ type }})
{%- endmacro %}

{% macro postgres__try_number(expression, type) -%}
    {%- set digits = modules.re.fullmatch('decimal\\(([0-9]+), *([0-9]+)\\)', type) -%}
    {%- if type == 'integer' -%}
        {{ target.schema }}.try_integer(cast({{ expression }} as text))
    {%- elif digits -%}
        cast({{ target.schema }}.try_decimal(
            cast({{ expression }} as text), {{ digits.group(1) }}, {{ digits.group(2) }}
        ) as {{ type }})
    {%- else -%}
        {%- do exceptions.raise_compiler_error("try_number: the type is '" ~ type ~ "'; write integer or decimal(p, s)") -%}
    {%- endif -%}
{%- endmacro %}

{#-
  Java's digits are those of every script; what is written as a number is known by the pattern of PostgreSQL's form.
-#}
{% macro spark__try_number(expression, type) -%}
    case
        when
            cast({{ expression }} as string)
            rlike '^\\s*[-+]?(?:[0-9]+\\.?[0-9]*|\\.[0-9]+)(?:[eE][-+]?0*[0-9]{1,3})?\\s*$'
            then
        {%- if type == 'integer' %} try_cast(try_cast({{ expression }} as decimal(18, 0)) as integer)
        {%- else %} try_cast({{ expression }} as {{ type }})
        {%- endif %}
    end
{%- endmacro %}
