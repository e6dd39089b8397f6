{#-
  A whole number, or null where the value is none: 7, 7.0 and '7' are one, 7.5 is not. A cast would round it: DuckDB
  up, Spark down, and PostgreSQL would stop.
-#}
{% macro try_integer(expression) -%}
    case
        when {{ try_number(expression, 'decimal(18, 4)') }} = {{ try_number(expression, 'integer') }}
            then {{ try_number(expression, 'integer') }}
    end
{%- endmacro %}
