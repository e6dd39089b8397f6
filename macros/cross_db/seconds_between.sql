{#-
  Seconds from one timestamp to another, exact to the microsecond: a decimal, since sums of floating numbers depend on
  the order of rows. Every engine has its own epoch function.
-#}
{% macro seconds_between(earlier, later) %}{{ return(adapter.dispatch('seconds_between', 'user_segments')(earlier, later)) }}{% endmacro %}

{% macro default__seconds_between(earlier, later) -%}
    cast(cast(epoch_us({{ later }}) - epoch_us({{ earlier }}) as decimal(18, 0)) * 0.000001 as decimal(18, 6))
{%- endmacro %}

{% macro postgres__seconds_between(earlier, later) -%}
    cast(extract(epoch from {{ later }} - ({{ earlier }})) as decimal(18, 6))
{%- endmacro %}

{% macro spark__seconds_between(earlier, later) -%}
    cast(cast(unix_micros({{ later }}) - unix_micros({{ earlier }}) as decimal(18, 0)) * 0.000001 as decimal(18, 6))
{%- endmacro %}
