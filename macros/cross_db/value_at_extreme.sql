{#-
  The value in the row where `order_by` is greatest (least), for aggregating; rows where the value is null do not
  count. Of values at the same moment the one whose text sorts last (first) is taken, so that the answer does not
  depend on the order in which rows arrive. PostgreSQL has no such aggregate; Spark calls it max_by.
-#}
{% macro value_at_max(value, order_by) %}{{ return(adapter.dispatch('value_at_max', 'user_segments')(value, order_by)) }}{% endmacro %}

{% macro default__value_at_max(value, order_by) -%}
    arg_max({{ value }}, ({{ order_by }}, {{ value }})) filter (where {{ value }} is not null)
{%- endmacro %}

{% macro value_at_min(value, order_by) %}{{ return(adapter.dispatch('value_at_min', 'user_segments')(value, order_by)) }}{% endmacro %}

{% macro default__value_at_min(value, order_by) -%}
    arg_min({{ value }}, ({{ order_by }}, {{ value }})) filter (where {{ value }} is not null)
{%- endmacro %}
