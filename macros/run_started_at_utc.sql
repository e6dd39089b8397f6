{#-
  When this run started, as a UTC timestamp literal: the clock for events that say not when they were received, and for
  which day is over.
-#}
{% macro run_started_at_utc() -%}
    cast('{{ run_started_at.strftime("%Y-%m-%d %H:%M:%S") }}' as timestamp)
{%- endmacro %}
